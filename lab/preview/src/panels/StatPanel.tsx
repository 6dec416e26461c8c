import { getDisplayValueAlignmentFactors, VizOrientation } from '@grafana/data';
import { type PercentChangeColorMode, type VizTextDisplayOptions } from '@grafana/schema';
import { BigValue, BigValueColorMode, BigValueGraphMode, BigValueJustifyMode, BigValueTextMode, VizRepeater } from '@grafana/ui';

import { fieldValues, type ReduceOptions } from './fieldValues';
import { LinkedValue } from './LinkedValue';
import { type PanelProps } from './types';

type Options = ReduceOptions & {
  colorMode: BigValueColorMode;
  graphMode: BigValueGraphMode;
  justifyMode: BigValueJustifyMode;
  textMode: BigValueTextMode;
  orientation: VizOrientation;
  wideLayout: boolean;
  showPercentChange: boolean;
  percentChangeColorMode: PercentChangeColorMode;
  text: VizTextDisplayOptions;
};

const SPACING = 3;

export function StatPanel(props: PanelProps<Options>) {
  const { options, width, height, theme, range } = props;
  const graphMode = options.graphMode ?? BigValueGraphMode.Area;
  return (
    <VizRepeater
      source={props.frames}
      renderCounter={0}
      getValues={() =>
        fieldValues(props, {
          sparkline: graphMode !== BigValueGraphMode.None,
          percentChange: options.showPercentChange ?? false,
        })
      }
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      width={width}
      height={height}
      itemSpacing={SPACING}
      autoGrid
      orientation={options.orientation ?? VizOrientation.Auto}
      renderValue={({ value, alignmentFactors, width, height, count }) => (
        <LinkedValue value={value}>
          <BigValue
            value={value.display}
            count={count}
            {...(value.sparkline ? { sparkline: { ...value.sparkline, timeRange: range } } : {})}
            colorMode={options.colorMode ?? BigValueColorMode.Value}
            graphMode={graphMode}
            justifyMode={options.justifyMode ?? BigValueJustifyMode.Auto}
            textMode={textMode(props)}
            alignmentFactors={alignmentFactors}
            {...(options.text ? { text: options.text } : {})}
            {...(options.percentChangeColorMode ? { percentChangeColorMode: options.percentChangeColorMode } : {})}
            disableWideLayout={!(options.wideLayout ?? true)}
            width={width}
            height={height}
            theme={theme}
          />
        </LinkedValue>
      )}
    />
  );
}

/** A panel without a title, or fields with a name of their own, show the name where nothing else is asked for. */
function textMode({ options, fieldConfig, title }: PanelProps<Options>): BigValueTextMode {
  const asked = options.textMode ?? BigValueTextMode.Auto;
  const named = Boolean(fieldConfig.defaults.displayName) || !title;
  return asked === BigValueTextMode.Auto && named ? BigValueTextMode.ValueAndName : asked;
}
