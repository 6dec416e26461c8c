import { type PageReport } from '../src/page/report';

/** One picture of one dashboard. */
export interface Shot {
  /** The dashboard's JSON. */
  dashboard: string;
  /** Where the PNG is written. */
  out: string;
  theme: 'dark' | 'light';
  /** Pixels of the window. */
  width: number;
  /** Parameters of the page's address, such as var-node. */
  parameters?: Record<string, string | string[]>;
  /** A palette of this many colours instead of all of them. */
  colors?: number;
}

/** Pictures put side by side. */
export interface Pair {
  out: string;
  /** Path and caption of each side; a side without a path stays empty. */
  sides: Array<{ caption: string; path?: string }>;
}

/** What is to be done, as read from the standard input. */
export interface Job {
  chromium: string;
  /** Folder of the built page. */
  page: string;
  /** Base URL of the Prometheus that answers the queries. */
  prometheus: string;
  /** Scrape interval of the data source, like 15s. */
  scrape: string;
  /** Milliseconds since 1970 that count as now. */
  now: number;
  /** How many pages draw at once. */
  workers: number;
  shots: Shot[];
  pairs: Pair[];
}

/** One line of the standard output for each shot. */
export interface ShotResult {
  out: string;
  milliseconds: number;
  report: PageReport;
  /** Errors and warnings of the browser's console, and what the page asked for and didn't get. */
  complaints: string[];
}
