import { type DataFrame, type FieldConfigSource, type GrafanaTheme2, type TimeRange } from '@grafana/data';
import { type ComponentType } from 'react';

import { type PanelOptions } from '../model/dashboard';
import { type Mark } from '../prometheus/annotations';
import { type Interpolator } from '../variables/interpolate';

/** What every panel is drawn from. */
export interface PanelProps<Options extends PanelOptions = PanelOptions> {
  title: string;
  frames: DataFrame[];
  fieldConfig: FieldConfigSource;
  options: Partial<Options>;
  width: number;
  height: number;
  range: TimeRange;
  timeZone: string;
  theme: GrafanaTheme2;
  values: Interpolator;
  marks: Mark[];
  /** Asks for another time range, in milliseconds; undefined where nobody can choose one. */
  onZoom: ((range: { from: number; to: number }) => void) | undefined;
}

/** A type of panel that can be drawn. */
export interface PanelType {
  // The dashboard is data from outside: what its options hold is known to the component alone.
  component: ComponentType<PanelProps<any>>;
  /** Whether the component itself says that there are no data. */
  saysNoData?: boolean;
  /** Why these options can't be drawn; undefined where they can. */
  missing?: (options: PanelOptions) => string | undefined;
}
