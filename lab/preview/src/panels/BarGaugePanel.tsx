import { getDisplayValueAlignmentFactors, VizOrientation, type FieldDisplay } from '@grafana/data';
import { BarGaugeDisplayMode, type BarGaugeNamePlacement, type BarGaugeValueMode, type VizTextDisplayOptions } from '@grafana/schema';
import { BarGauge, VizRepeater } from '@grafana/ui';

import { fieldValues, type ReduceOptions } from './fieldValues';
import { LinkedValue } from './LinkedValue';
import { type PanelProps } from './types';

type Options = ReduceOptions & {
  displayMode: BarGaugeDisplayMode;
  valueMode: BarGaugeValueMode;
  namePlacement: BarGaugeNamePlacement;
  orientation: VizOrientation;
  showUnfilled: boolean;
  sizing: 'auto' | 'manual';
  minVizWidth: number;
  minVizHeight: number;
  maxVizHeight: number;
  text: VizTextDisplayOptions;
};

// Sizes that Grafana takes unless they are set by hand, in pixels.
const AUTO = { minVizWidth: 8, minVizHeight: 16, maxVizHeight: 300 };

export function BarGaugePanel(props: PanelProps<Options>) {
  const { options, width, height, theme } = props;
  const displayMode = options.displayMode ?? BarGaugeDisplayMode.Gradient;
  const spacing = displayMode === BarGaugeDisplayMode.Lcd ? 2 : 10;
  const sizes = options.sizing === 'manual' ? { ...AUTO, ...chosen(options) } : AUTO;
  return (
    <VizRepeater
      source={props.frames}
      renderCounter={0}
      getValues={() => fieldValues(props)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      width={width}
      height={height}
      itemSpacing={spacing}
      orientation={orientation(options.orientation, width, height)}
      {...sizes}
      renderValue={({ value, alignmentFactors, width, height, orientation }) => (
        <LinkedValue value={value}>
          <BarGauge
            value={value.display}
            field={value.field}
            display={processor(value)}
            width={width}
            height={height}
            orientation={orientation}
            itemSpacing={spacing}
            displayMode={displayMode}
            showUnfilled={options.showUnfilled ?? true}
            alignmentFactors={alignmentFactors}
            {...(options.valueMode ? { valueDisplayMode: options.valueMode } : {})}
            {...(options.namePlacement ? { namePlacement: options.namePlacement } : {})}
            {...(options.text ? { text: options.text } : {})}
            theme={theme}
          />
        </LinkedValue>
      )}
    />
  );
}

function chosen({ minVizWidth, minVizHeight, maxVizHeight }: Partial<Options>): Partial<typeof AUTO> {
  return Object.fromEntries(
    Object.entries({ minVizWidth, minVizHeight, maxVizHeight }).filter(([, value]) => value !== undefined)
  );
}

function orientation(asked: VizOrientation | undefined, width: number, height: number): VizOrientation {
  if (asked && asked !== VizOrientation.Auto) {
    return asked;
  }
  return width > height ? VizOrientation.Vertical : VizOrientation.Horizontal;
}

/** Colours of the cells along the bar come from the field's own processor. */
function processor({ view, colIndex, display }: FieldDisplay) {
  const own = view && colIndex !== undefined ? view.getFieldDisplayProcessor(colIndex) : undefined;
  return own ?? (() => display);
}
