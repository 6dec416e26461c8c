import { type TimeRange } from '@grafana/data';
import { Icon, InlineSwitch, LinkButton, RefreshPicker, Select, TimeRangePicker, useTheme2 } from '@grafana/ui';

import { type Dashboard } from '../model/dashboard';
import { rangeParameters } from '../model/timeRange';
import { type Drawing } from './drawing';
import { type Found } from './grafanaApi';
import { dashboardLinks } from './links';
import { VariableControl } from './VariableControl';

interface Props {
  dashboard: Dashboard;
  drawing: Drawing;
  known: Found[];
  timeZone: string;
  annotations: boolean;
  onAnnotations: (shown: boolean) => void;
  /** Parameters of the address to set; what has no values is taken out. */
  onChange: (changes: Record<string, string[]>) => void;
  onRefresh: () => void;
}

/** What stands above a dashboard: its name, variables, links, and the time range. */
export function Toolbar(props: Props) {
  const { dashboard, drawing, known, timeZone, annotations, onAnnotations, onChange, onRefresh } = props;
  const theme = useTheme2();
  const links = dashboardLinks(dashboard.links ?? [], drawing.range, drawing.values, known, dashboard.uid);
  const named = (dashboard.annotations?.list ?? []).filter((one) => !one.builtIn && one.expr);
  const row = { display: 'flex', flexWrap: 'wrap', gap: theme.spacing(1), alignItems: 'center' } as const;
  return (
    <header style={{ marginBottom: theme.spacing(1) }}>
      <div style={{ ...row, justifyContent: 'space-between', marginBottom: theme.spacing(1) }}>
        <Title dashboard={dashboard} known={known} />
        <div style={row}>
          <Times range={drawing.range} timeZone={timeZone} onChange={onChange} />
          <RefreshPicker onRefresh={onRefresh} onIntervalChanged={() => undefined} value={String(dashboard.refresh || '')} noIntervalPicker />
        </div>
      </div>
      <div style={{ ...row, justifyContent: 'space-between' }}>
        <div style={row}>
          {drawing.variables.map((variable) => (
            <VariableControl
              key={`${variable.name} ${variable.chosen.join()}`}
              variable={variable}
              onChange={(chosen) => onChange({ [`var-${variable.name}`]: chosen })}
            />
          ))}
          {named.length > 0 && (
            <InlineSwitch
              label={named.map((one) => one.name).join(', ')}
              showLabel
              value={annotations}
              onChange={(event) => onAnnotations(event.currentTarget.checked)}
            />
          )}
        </div>
        <div style={row}>
          {links.map((link) => (
            <LinkButton
              key={link.href}
              href={link.href}
              tooltip={link.tooltip}
              icon="apps"
              variant="secondary"
              fill="outline"
              {...(link.blank ? { target: '_blank' } : {})}
            >
              {link.title}
            </LinkButton>
          ))}
        </div>
      </div>
    </header>
  );
}

function Title({ dashboard, known }: { dashboard: Dashboard; known: Found[] }) {
  const theme = useTheme2();
  const others = known.map((one) => ({ label: one.title, value: one.url, description: one.folderTitle ?? '' }));
  return (
    <div style={{ display: 'flex', alignItems: 'center', gap: theme.spacing(1), fontSize: theme.typography.h4.fontSize }}>
      {known.length > 0 && (
        <>
          <a href="/dashboards">Dashboards</a>
          <Icon name="angle-right" />
        </>
      )}
      <strong style={{ fontWeight: theme.typography.fontWeightMedium }}>{dashboard.title}</strong>
      {others.length > 1 && (
        <Select
          aria-label="Other dashboards"
          placeholder="Other dashboards"
          width={24}
          value={null}
          options={others}
          onChange={({ value }) => window.location.assign(value!)}
        />
      )}
    </div>
  );
}

function Times({ range, timeZone, onChange }: { range: TimeRange; timeZone: string; onChange: Props['onChange'] }) {
  const choose = (from: number, to: number): void => onChange({ from: [String(Math.round(from))], to: [String(Math.round(to))] });
  const from = range.from.valueOf();
  const to = range.to.valueOf();
  const span = to - from;
  return (
    <TimeRangePicker
      value={range}
      timeZone={timeZone}
      onChange={(chosen) => {
        const raw = rangeParameters(chosen);
        onChange({ from: [raw.from], to: [raw.to] });
      }}
      onChangeTimeZone={() => undefined}
      onMoveBackward={() => choose(from - span / 2, to - span / 2)}
      onMoveForward={() => choose(from + span / 2, to + span / 2)}
      onZoom={() => choose(from - span / 2, to + span / 2)}
      isOnCanvas
    />
  );
}
