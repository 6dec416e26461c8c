import { type SelectableValue } from '@grafana/data';
import { Input, MultiSelect, Select, useTheme2 } from '@grafana/ui';

import { ALL, textOf, type Variable } from '../variables/interpolate';

const EVERYTHING: SelectableValue<string> = { label: 'All', value: ALL };

interface Props {
  variable: Variable;
  onChange: (chosen: string[]) => void;
}

/** Label and choice of one variable, as above a dashboard. */
export function VariableControl({ variable, onChange }: Props) {
  const theme = useTheme2();
  if (variable.hidden === 'all' || variable.type === 'constant') {
    return null;
  }
  const id = `var-${variable.name}`;
  return (
    <div style={{ display: 'flex', maxWidth: '100%' }}>
      {variable.hidden === 'no' && (
        <label
          htmlFor={id}
          style={{
            display: 'flex',
            alignItems: 'center',
            padding: theme.spacing(0, 1),
            height: theme.spacing(theme.components.height.md),
            background: theme.colors.background.secondary,
            border: `1px solid ${theme.components.input.borderColor}`,
            borderRight: 'none',
            borderRadius: `${theme.shape.radius.default} 0 0 ${theme.shape.radius.default}`,
            fontSize: theme.typography.bodySmall.fontSize,
            fontWeight: theme.typography.fontWeightMedium,
            whiteSpace: 'nowrap',
          }}
        >
          {variable.label}
        </label>
      )}
      <Choices id={id} variable={variable} onChange={onChange} />
    </div>
  );
}

function Choices({ id, variable, onChange }: Props & { id: string }) {
  if (variable.error) {
    return <Input id={id} readOnly invalid value={variable.error} />;
  }
  if (variable.type === 'textbox') {
    return <Input id={id} defaultValue={variable.chosen[0] ?? ''} onBlur={(event) => onChange([event.currentTarget.value])} />;
  }
  const options = [...(variable.includeAll ? [EVERYTHING] : []), ...variable.choices.map(({ text, value }) => ({ label: text, value }))];
  if (variable.multi) {
    const chosen = (values: Array<SelectableValue<string>>): string[] => {
      const picked = values.map((one) => one.value!);
      // Whichever was picked last counts: all of them, or single ones.
      return picked.at(-1) === ALL ? [ALL] : picked.filter((value) => value !== ALL);
    };
    return (
      <MultiSelect
        inputId={id}
        width="auto"
        options={options}
        value={variable.chosen}
        closeMenuOnSelect={false}
        onChange={(values) => onChange(chosen(values))}
      />
    );
  }
  const value = { label: textOf(variable), value: variable.chosen[0] ?? '' };
  return <Select inputId={id} width="auto" options={options} value={value} onChange={(one) => onChange([one.value!])} />;
}
