import { outerJoinDataFrames, type DataFrame, type Field, type FieldMatcher } from '@grafana/data';
import { GraphDrawStyle } from '@grafana/schema';

interface Matchers {
  x: FieldMatcher;
  y: FieldMatcher;
}

type Value = number | null | undefined;

/** What `spanNulls` is for bars: nulls stay where they are, nothing is drawn across. */
const RETAIN = -1;

/**
 * All series of a graph in one frame with one time axis.
 *
 * In place of the function that @grafana/ui would take: that one throws the display names away, and colours by
 * series name are made of them.
 */
export function alignFrames(frames: DataFrame[], { x, y }: Matchers): DataFrame | null {
  const joined = outerJoinDataFrames({
    frames: frames.map((frame) => ({ ...frame, fields: frame.fields.map(retainNullsOfBars) })),
    joinBy: x,
    keep: y,
    keepOriginIndices: true,
    keepDisplayNames: true,
  });
  const [time, ...series] = joined?.fields ?? [];
  if (!joined || !time) {
    return null;
  }
  const bridged = series.map((field) => bridge(field, time.values as number[]));
  return withRoomForBars({ ...joined, fields: [time, ...bridged] }, frames);
}

const custom = (field: Field): { drawStyle?: GraphDrawStyle; spanNulls?: boolean | number } =>
  (field.config.custom ?? {}) as { drawStyle?: GraphDrawStyle; spanNulls?: boolean | number };

const isBars = (field: Field): boolean => custom(field).drawStyle === GraphDrawStyle.Bars;

function retainNullsOfBars(field: Field): Field {
  return isBars(field) ? { ...field, config: { ...field.config, custom: { ...custom(field), spanNulls: RETAIN } } } : field;
}

/** `spanNulls` as a number of milliseconds: lines are drawn across gaps that are no longer. */
function bridge(field: Field, times: number[]): Field {
  const { spanNulls } = custom(field);
  if (typeof spanNulls !== 'number' || spanNulls <= 0) {
    return field;
  }
  const values = [...(field.values as Value[])];
  let last: number | undefined;
  values.forEach((value, index) => {
    if (value === null || value === undefined) {
      return;
    }
    if (last !== undefined && times[index]! - times[last]! <= spanNulls) {
      values.fill(undefined, last + 1, index);
    }
    last = index;
  });
  return { ...field, values };
}

/** Bars of several series stand beside each other: the last ones need room on the right. */
function withRoomForBars(frame: DataFrame, frames: DataFrame[]): DataFrame {
  const barred = frames.filter((one) => one.fields.some(isBars));
  if (barred.length < 2) {
    return frame;
  }
  const steps = barred.flatMap(({ fields }) => {
    const times = (fields[0]?.values ?? []) as number[];
    return times.slice(1).map((time, index) => time - times[index]!);
  });
  const step = steps.reduce((least, one) => Math.min(least, one), Infinity);
  if (!Number.isFinite(step)) {
    return frame;
  }
  const end = (frame.fields[0]!.values as number[]).at(-1)!;
  const fields = frame.fields.map((field, index) => {
    const more = index === 0 ? [end + step, end + 2 * step] : isBars(field) ? [null, null] : [undefined, undefined];
    return { ...field, values: [...(field.values as Value[]), ...more] };
  });
  return { ...frame, fields, length: frame.length + 2 };
}
