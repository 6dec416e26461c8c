import { colorManipulator, type GrafanaTheme2 } from '@grafana/data';
import { type UPlotConfigBuilder } from '@grafana/ui';
import { useLayoutEffect, useRef } from 'react';
import type uPlot from 'uplot';

import { type Mark } from '../prometheus/annotations';

const DASH = [5, 5];
const ARROW = 5;
const FILL = 0.1;

interface Props {
  config: UPlotConfigBuilder;
  marks: Mark[];
  theme: GrafanaTheme2;
}

/** Draws annotations over a graph: a dashed line at the start, a shade for as long as it lasts, an arrow below. */
export function MarksPlugin({ config, marks, theme }: Props) {
  const latest = useRef(marks);
  latest.current = marks;
  // The plot is made of its configuration after the effects of its children: the hook has to be in it by then.
  useLayoutEffect(() => {
    config.addHook('draw', (plot) => latest.current.forEach((mark) => draw(plot, mark, theme)));
  }, [config, theme]);
  return null;
}

function draw(plot: uPlot, mark: Mark, theme: GrafanaTheme2): void {
  const scale = plot.scales['x'];
  if (mark.to < (scale?.min ?? Infinity) || mark.from > (scale?.max ?? -Infinity)) {
    return;
  }
  const { ctx, bbox } = plot;
  const ratio = window.devicePixelRatio;
  const color = theme.visualization.getColorByName(mark.color);
  const inside = (time: number): number =>
    Math.min(bbox.left + bbox.width, Math.max(bbox.left, plot.valToPos(time, 'x', true)));
  const [from, to] = [inside(mark.from), inside(mark.to)];
  const floor = bbox.top + bbox.height;
  ctx.save();
  ctx.fillStyle = colorManipulator.alpha(color, FILL);
  ctx.fillRect(from, bbox.top, to - from, bbox.height);
  ctx.strokeStyle = color;
  ctx.lineWidth = ratio;
  ctx.setLineDash(DASH.map((length) => length * ratio));
  for (const x of new Set([from, to])) {
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, floor);
    ctx.stroke();
  }
  ctx.fillStyle = color;
  ctx.beginPath();
  ctx.moveTo(from, floor);
  ctx.lineTo(from - ARROW * ratio, floor + ARROW * ratio);
  ctx.lineTo(from + ARROW * ratio, floor + ARROW * ratio);
  ctx.fill();
  ctx.fillRect(from, floor + ARROW * ratio - ratio, to - from, 2 * ratio);
  ctx.restore();
}
