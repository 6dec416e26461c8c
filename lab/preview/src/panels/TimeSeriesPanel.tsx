import { applyNullInsertThreshold, cacheFieldDisplayNames, FieldType, type DataFrame, type Field, type TimeRange } from '@grafana/data';
import { type VizLegendOptions, type VizTooltipOptions } from '@grafana/schema';
import { TimeSeries } from '@grafana/ui';
import { useMemo } from 'react';

import { alignFrames } from './alignFrames';
import { legendOptions } from './legend';
import { MarksPlugin } from './MarksPlugin';
import { Message } from './Message';
import { TimeSeriesTooltip } from './TimeSeriesTooltip';
import { type PanelProps } from './types';

type Options = { legend: Partial<VizLegendOptions>; tooltip: Partial<VizTooltipOptions> };

export function TimeSeriesPanel(props: PanelProps<Options>) {
  const { frames, options, width, height, range, timeZone, theme, marks, onZoom } = props;
  const drawn = useMemo(
    () => named(frames.filter(hasLines).map((frame) => numbersOnly(withGaps(frame, range)))),
    [frames, range]
  );
  const legend = useMemo(() => legendOptions(options.legend), [options]);
  if (drawn.length === 0) {
    return <Message>No data</Message>;
  }
  return (
    <TimeSeries
      frames={drawn}
      timeRange={range}
      timeZone={timeZone}
      width={width}
      height={height}
      legend={legend}
      options={options}
      preparePlotFrame={alignFrames}
    >
      {(config, aligned) => (
        <>
          <MarksPlugin config={config} marks={marks} theme={theme} />
          <TimeSeriesTooltip config={config} frame={aligned} options={options.tooltip} theme={theme} onZoom={onZoom} />
        </>
      )}
    </TimeSeries>
  );
}

function hasLines({ fields }: DataFrame): boolean {
  return fields.some((field) => field.type === FieldType.time) && fields.some(isValue);
}

const isValue = ({ type }: Field): boolean =>
  type === FieldType.number || type === FieldType.boolean || type === FieldType.enum;

/** Legend, lines and tooltip take the same name, which stands on the field once it was asked for. */
function named(frames: DataFrame[]): DataFrame[] {
  cacheFieldDisplayNames(frames);
  return frames;
}

/** Where a series pauses, its line does too: without nulls in between it would be drawn on to the next point. */
function withGaps(frame: DataFrame, range: TimeRange): DataFrame {
  return applyNullInsertThreshold({
    frame,
    refFieldPseudoMin: range.from.valueOf(),
    refFieldPseudoMax: range.to.valueOf(),
  });
}

/** Time and values without infinities, which have no place on a scale. */
function numbersOnly(frame: DataFrame): DataFrame {
  const fields = frame.fields
    .filter((field) => field.type === FieldType.time || isValue(field))
    .map((field) => (field.type === FieldType.time ? field : drawable(field)));
  return { ...frame, fields };
}

function drawable(field: Field): Field {
  if (field.type === FieldType.boolean) {
    const values = field.values.map((value: boolean | null) => (value === null ? null : Number(value)));
    return { ...field, type: FieldType.number, config: { ...field.config, min: 0, max: 1 }, values };
  }
  return { ...field, values: field.values.map((value: number | null) => (Number.isFinite(value) ? value : null)) };
}
