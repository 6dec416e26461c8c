import { formattedValueToString, getDisplayValueAlignmentFactors, ThresholdsMode, VizOrientation, type FieldDisplay, type GrafanaTheme2 } from '@grafana/data';
import { type VizTextDisplayOptions } from '@grafana/schema';
import { calculateFontSize, VizRepeater } from '@grafana/ui';

import { fieldValues, type ReduceOptions } from './fieldValues';
import { LinkedValue } from './LinkedValue';
import { type PanelProps } from './types';

type Options = ReduceOptions & {
  orientation: VizOrientation;
  shape: 'gauge' | 'circle';
  barWidthFactor: number;
  showThresholdMarkers: boolean;
  text: VizTextDisplayOptions;
};

/** @grafana/ui exports no gauge any more: this one is like Grafana's in values and colours, not in every size. */
export function GaugePanel(props: PanelProps<Options>) {
  const { options, width, height, theme } = props;
  return (
    <VizRepeater
      source={props.frames}
      renderCounter={0}
      getValues={() => fieldValues(props)}
      getAlignmentFactors={getDisplayValueAlignmentFactors}
      width={width}
      height={height}
      itemSpacing={8}
      autoGrid
      orientation={options.orientation ?? VizOrientation.Auto}
      renderValue={({ value, width, height, count }) => (
        <LinkedValue value={value}>
          <Gauge value={value} width={width} height={height} named={count > 1} options={options} theme={theme} />
        </LinkedValue>
      )}
    />
  );
}

interface GaugeProps {
  value: FieldDisplay;
  width: number;
  height: number;
  named: boolean;
  options: Partial<Options>;
  theme: GrafanaTheme2;
}

function Gauge({ value, width, height, named, options, theme }: GaugeProps) {
  const { display, field } = value;
  const showName = (named || Boolean(field.displayName)) && Boolean(display.title);
  const nameHeight = showName ? Math.min(24, Math.max(14, height * 0.12)) : 0;
  const shape = geometry(width, height - nameHeight, options);
  const share = part(display.numeric, field.min ?? 0, field.max ?? 100);
  const text = formattedValueToString(display);
  const inner = shape.radius - shape.thickness / 2;
  const fontSize = options.text?.valueSize ?? Math.min(calculateFontSize(text, inner * 1.7, shape.radius * 0.9, 1.1), shape.radius * 0.6);
  return (
    <div style={{ width, height }}>
      <svg width={width} height={height - nameHeight}>
        <Arc shape={shape} from={0} to={1} color={theme.colors.action.hover} />
        {share > 0 && <Arc shape={shape} from={0} to={share} color={display.color ?? theme.colors.text.primary} />}
        {(options.showThresholdMarkers ?? true) && <Markers shape={shape} field={field} theme={theme} />}
        <text
          x={shape.x}
          y={shape.y}
          textAnchor="middle"
          dominantBaseline="middle"
          fill={display.color}
          fontSize={fontSize}
          fontWeight={theme.typography.fontWeightMedium}
        >
          {text}
        </text>
      </svg>
      {showName && <div style={{ height: nameHeight, fontSize: nameHeight * 0.7, textAlign: 'center' }}>{display.title}</div>}
    </div>
  );
}

interface Shape {
  x: number;
  y: number;
  radius: number;
  thickness: number;
  marker: number;
  start: number;
  end: number;
}

function geometry(width: number, height: number, { shape, barWidthFactor = 0.5 }: Partial<Options>): Shape {
  const circle = shape === 'circle';
  // A gauge is open below: it takes 1.36 of its radius in height.
  const outer = Math.max(10, Math.min(width / 2, circle ? height / 2 : height / 1.36) - 4);
  const thickness = Math.max(4, outer * 0.44 * barWidthFactor);
  const marker = Math.max(2, outer * 0.035);
  const y = circle ? height / 2 : outer + 4 + Math.max(0, (height - 1.36 * outer - 8) / 2);
  const [start, end] = circle ? [-Math.PI / 2, 1.5 * Math.PI - 1e-3] : [(Math.PI * 8) / 9, (Math.PI * 19) / 9];
  return { x: width / 2, y, radius: outer - marker - 3 - thickness / 2, thickness, marker, start, end };
}

function part(value: number, min: number, max: number): number {
  return Number.isFinite(value) ? Math.min(1, Math.max(0, (value - min) / (max - min || 1))) : 0;
}

function Arc({ shape, from, to, color, width = shape.thickness, radius = shape.radius }: {
  shape: Shape;
  from: number;
  to: number;
  color: string;
  width?: number;
  radius?: number;
}) {
  const angle = (share: number): number => shape.start + (shape.end - shape.start) * share;
  const point = (share: number): string =>
    `${shape.x + radius * Math.cos(angle(share))},${shape.y + radius * Math.sin(angle(share))}`;
  const long = angle(to) - angle(from) > Math.PI ? 1 : 0;
  const path = `M${point(from)}A${radius},${radius} 0 ${long} 1 ${point(to)}`;
  return <path d={path} fill="none" stroke={color} strokeWidth={width} />;
}

/** A thin ring around the gauge in the colours of its thresholds. */
function Markers({ shape, field, theme }: { shape: Shape; field: FieldDisplay['field']; theme: GrafanaTheme2 }) {
  const steps = field.thresholds?.steps ?? [];
  const min = field.min ?? 0;
  const max = field.max ?? 100;
  const at = (value: number): number =>
    value === -Infinity ? 0 : field.thresholds?.mode === ThresholdsMode.Percentage ? value / 100 : part(value, min, max);
  return steps.map((step, index) => {
    const from = at(step.value);
    const next = steps[index + 1];
    const to = next ? at(next.value) : 1;
    const color = theme.visualization.getColorByName(step.color);
    const radius = shape.radius + shape.thickness / 2 + 3 + shape.marker / 2;
    return to > from && <Arc key={index} shape={shape} from={from} to={to} color={color} width={shape.marker} radius={radius} />;
  });
}
