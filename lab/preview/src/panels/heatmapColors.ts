import { colorManipulator, type GrafanaTheme2 } from '@grafana/data';
import * as chromatic from 'd3-scale-chromatic';

export interface HeatmapColor {
  mode: 'scheme' | 'opacity';
  scheme: string;
  fill: string;
  scale: 'linear' | 'exponential';
  exponent: number;
  reverse: boolean;
  steps: number;
}

// Schemes that begin with white are turned round on a dark page; these begin with the colour of "bad".
const LIGHT_FIRST = /^(Oranges|Blues|Greens|Greys|Purples|Reds|BuGn|BuPu|GnBu|OrRd|PuBuGn|PuBu|PuRd|RdPu|YlGnBu|YlGn|YlOrBr|YlOrRd)$/;
const BAD_FIRST = /^(Spectral|RdYlGn|RdYlBu|RdGy)$/;

type Interpolate = (share: number) => string;

/** The colours of a heatmap from the lowest to the highest value. */
export function heatmapColors(color: Partial<HeatmapColor>, theme: GrafanaTheme2): string[] {
  const steps = color.steps ?? 64;
  const shares = Array.from({ length: steps }, (_, index) => index / Math.max(1, steps - 1));
  if (color.mode === 'opacity') {
    const base = theme.visualization.getColorByName(color.fill ?? 'dark-orange');
    const exponent = color.scale === 'linear' ? 1 : (color.exponent ?? 0.5);
    return shares.map((share) => colorManipulator.alpha(base, share ** exponent));
  }
  const scheme = color.scheme ?? 'Oranges';
  const schemes = chromatic as unknown as Record<string, Interpolate | undefined>;
  const colors = shares.map(schemes[`interpolate${scheme}`] ?? chromatic.interpolateOranges);
  const turned = BAD_FIRST.test(scheme) || (theme.isDark && LIGHT_FIRST.test(scheme));
  return turned !== (color.reverse ?? false) ? colors.reverse() : colors;
}
