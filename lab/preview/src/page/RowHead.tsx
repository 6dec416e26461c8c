import { Icon, useTheme2 } from '@grafana/ui';

import { type Placed } from '../model/grid';
import { type Interpolator } from '../variables/interpolate';

interface Props {
  item: Placed;
  values: Interpolator;
  open: boolean;
  onToggle: (() => void) | undefined;
}

/** The heading of a row; a click shows or hides what belongs to it. */
export function RowHead({ item: { panel, scope }, values, open, onToggle }: Props) {
  const theme = useTheme2();
  return (
    <button
      type="button"
      aria-expanded={open}
      onClick={onToggle}
      style={{
        all: 'unset',
        display: 'flex',
        alignItems: 'center',
        gap: theme.spacing(1),
        height: 30,
        width: '100%',
        cursor: 'pointer',
        color: theme.colors.text.primary,
        fontSize: theme.typography.h5.fontSize,
        fontWeight: theme.typography.fontWeightMedium,
        borderBottom: open ? 'none' : `1px solid ${theme.colors.border.weak}`,
      }}
    >
      <Icon name={open ? 'angle-down' : 'angle-right'} />
      {values.with(scope).replace(panel.title, {}, 'text')}
      {!open && (
        <span style={{ color: theme.colors.text.secondary, fontSize: theme.typography.bodySmall.fontSize }}>
          ({panel.panels?.length ?? 0} panels)
        </span>
      )}
    </button>
  );
}
