import { classic, type Dashboard } from '../model/dashboard';

/** What the page asks of Grafana's HTTP API; in pictures the program that takes them answers. */

export interface DataSource {
  uid: string;
  name: string;
  type: string;
  isDefault?: boolean;
  jsonData?: { timeInterval?: string };
}

export interface Found {
  uid: string;
  title: string;
  url: string;
  folderTitle?: string;
  tags?: string[];
}

export async function dashboardByUid(uid: string): Promise<Dashboard> {
  const answer = await get<{ dashboard: unknown }>(`/api/dashboards/uid/${encodeURIComponent(uid)}`);
  return classic(answer.dashboard);
}

export const dataSources = (): Promise<DataSource[]> => get('/api/datasources');

export const searchDashboards = (): Promise<Found[]> => get('/api/search?type=dash-db');

export const proxyUrl = ({ uid }: DataSource): string => `/api/datasources/proxy/uid/${encodeURIComponent(uid)}`;

async function get<T>(path: string): Promise<T> {
  const response = await fetch(path);
  const body = (await response.json().catch(() => ({}))) as T & { message?: string };
  if (!response.ok) {
    throw new Error(`${path}: ${body.message ?? `HTTP ${response.status}`}`);
  }
  return body;
}
