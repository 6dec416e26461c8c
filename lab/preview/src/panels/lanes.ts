import { FieldType, formattedValueToString, getFieldDisplayName, type DataFrame, type Field } from '@grafana/data';

/** A span of time in which a lane has one state. */
export interface Segment {
  from: number;
  to: number;
  text: string;
  color: string;
}

export interface Lane {
  name: string;
  field: Field;
  segments: Segment[];
}

/**
 * The lanes of a state timeline or a status history: one for each series.
 *
 * @param merge Whether neighbours of the same state are drawn as one.
 * @param end Where the last state ends at the latest, in milliseconds since 1970.
 */
export function lanes(frames: DataFrame[], merge: boolean, end: number): Lane[] {
  return frames.flatMap((frame) => {
    const time = frame.fields.find((field) => field.type === FieldType.time);
    if (!time) {
      return [];
    }
    return frame.fields
      .filter((field) => field !== time && !field.config.custom?.hideFrom?.viz)
      .map((field) => ({
        name: getFieldDisplayName(field, frame, frames),
        field,
        segments: segments(field, time, merge, end),
      }));
  });
}

function segments(field: Field, time: Field, merge: boolean, end: number): Segment[] {
  const step: number = time.config.interval ?? 0;
  const found: Segment[] = [];
  field.values.forEach((value: unknown, index) => {
    if (value === null || value === undefined) {
      return;
    }
    const from = time.values[index] as number;
    const next = (time.values[index + 1] as number | undefined) ?? from + step;
    // A series that pauses says nothing about the pause.
    const to = Math.min(end, step > 0 ? Math.min(next, from + step) : next);
    const display = field.display!(value);
    const state = { text: formattedValueToString(display), color: display.color ?? 'transparent' };
    const last = found.at(-1);
    if (merge && last && last.to === from && last.text === state.text && last.color === state.color) {
      last.to = to;
    } else {
      found.push({ from, to, ...state });
    }
  });
  return found;
}
