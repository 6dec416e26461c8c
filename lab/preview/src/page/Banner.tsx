import { useTheme2 } from '@grafana/ui';

/** Says what this is, so that nobody takes it for Grafana. */
export function Banner() {
  const theme = useTheme2();
  return (
    <div
      role="note"
      style={{
        padding: theme.spacing(0.75, 2),
        textAlign: 'center',
        background: theme.colors.warning.transparent,
        borderBottom: `1px solid ${theme.colors.warning.border}`,
        color: theme.colors.text.primary,
      }}
    >
      This is a preview, not Grafana: the dashboards are drawn with Grafana's own components for a look at them.
    </div>
  );
}
