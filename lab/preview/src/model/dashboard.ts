import { type DataLink, type DataTransformerConfig, type FieldConfigSource } from '@grafana/data';

/** A data source as dashboards name it; old ones give the uid alone. */
export type DataSourceRef = { type?: string; uid?: string } | string | null;

export interface GridPos {
  x: number;
  y: number;
  w: number;
  h: number;
}

/** A query of a panel, as the Prometheus data source stores it. */
export interface Target {
  refId?: string;
  datasource?: DataSourceRef;
  expr?: string;
  format?: 'time_series' | 'table' | 'heatmap';
  legendFormat?: string;
  instant?: boolean;
  range?: boolean;
  interval?: string;
  intervalFactor?: number;
  hide?: boolean;
}

/** Options of a panel: each type has its own, so each component narrows what it uses. */
export type PanelOptions = Record<string, unknown>;

export interface Panel {
  id?: number;
  type: string;
  title?: string;
  description?: string;
  transparent?: boolean;
  datasource?: DataSourceRef;
  gridPos: GridPos;
  targets?: Target[];
  transformations?: Array<DataTransformerConfig & { disabled?: boolean }>;
  fieldConfig?: FieldConfigSource;
  options?: PanelOptions;
  links?: DataLink[];
  interval?: string | null;
  maxDataPoints?: number | null;
  repeat?: string;
  repeatDirection?: 'h' | 'v';
  maxPerRow?: number;
  collapsed?: boolean;
  panels?: Panel[];
}

export interface VariableModel {
  name: string;
  type: string;
  label?: string;
  /** 1 hides the label, 2 the whole variable. */
  hide?: number;
  query?: unknown;
  definition?: string;
  regex?: string;
  sort?: number;
  multi?: boolean;
  includeAll?: boolean;
  allValue?: string | null;
  current?: { text?: string | string[]; value?: string | string[] } | null;
  options?: Array<{ text: string; value: string }>;
  datasource?: DataSourceRef;
  auto?: boolean;
  auto_count?: number;
  auto_min?: string;
}

export interface AnnotationModel {
  name: string;
  enable?: boolean;
  builtIn?: number;
  datasource?: DataSourceRef;
  expr?: string;
  step?: string;
  iconColor?: string;
  titleFormat?: string;
  textFormat?: string;
}

export interface DashboardLink {
  type: 'link' | 'dashboards';
  title?: string;
  url?: string;
  tags?: string[];
  tooltip?: string;
  icon?: string;
  asDropdown?: boolean;
  keepTime?: boolean;
  includeVars?: boolean;
  targetBlank?: boolean;
}

export interface Dashboard {
  uid: string;
  title: string;
  description?: string;
  timezone?: string;
  refresh?: string | false;
  time?: { from: string; to: string };
  panels: Panel[];
  templating?: { list?: VariableModel[] };
  annotations?: { list?: AnnotationModel[] };
  links?: DashboardLink[];
}

/**
 * Checks that a document has the classic schema.
 *
 * Older than schema 16 it has rows in place of panels, the v2 schema has elements: neither is drawn.
 */
export function classic(document: unknown): Dashboard {
  const model = document as Partial<Dashboard> | null;
  if (!model || !Array.isArray(model.panels)) {
    throw new Error('this dashboard has no list of panels: only the classic schema (16 and later) is drawn here');
  }
  return model as Dashboard;
}

export function uidOf(reference: DataSourceRef | undefined): string {
  return (typeof reference === 'string' ? reference : reference?.uid) ?? '';
}
