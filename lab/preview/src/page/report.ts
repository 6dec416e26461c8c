import { type QueryNote } from '../prometheus/panelQueries';

/** How one panel was drawn; what `ops pictures` reads out of the page. */
export interface PanelReport {
  key: string;
  id: number | undefined;
  type: string;
  title: string;
  queries: QueryNote[];
  frames: number;
  /** Values that aren't null, over all fields but times. */
  values: number;
  errors: string[];
  unsupported: string[];
}

export interface VariableReport {
  name: string;
  text: string;
  choices: number;
  error?: string;
}

export interface PageReport {
  /** Every panel has been drawn, and nothing is under way any more. */
  done: boolean;
  panels: PanelReport[];
  variables: VariableReport[];
  marks: number;
  errors: string[];
}

declare global {
  interface Window {
    __preview?: PageReport;
  }
}

export const report: PageReport = { done: false, panels: [], variables: [], marks: 0, errors: [] };
window.__preview = report;

export function problem(error: unknown): void {
  report.errors.push(error instanceof Error ? error.message : String(error));
}
