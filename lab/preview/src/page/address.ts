/** What the page's own address says. */
export interface Address {
  uid: string;
  /** Time range and variables, as in Grafana's addresses. */
  parameters: URLSearchParams;
  theme: 'dark' | 'light';
  /** Milliseconds since 1970 that count as now; undefined: the clock. */
  now: number | undefined;
  /** A picture: nothing to click, every row open, no note about what this is. */
  picture: boolean;
}

export function readAddress({ pathname, search }: Location): Address {
  const parameters = new URLSearchParams(search);
  const now = parameters.get('now');
  return {
    uid: decodeURIComponent(/^\/d\/([^/]+)/.exec(pathname)?.[1] ?? ''),
    parameters,
    theme: parameters.get('theme') === 'light' ? 'light' : 'dark',
    now: now ? Number(now) : undefined,
    picture: parameters.has('picture'),
  };
}
