import { type FieldDisplay } from '@grafana/data';
import { type ReactElement } from 'react';

/** A value that leads somewhere, if the dashboard gives it a data link: the first one. */
export function LinkedValue({ value, children }: { value: FieldDisplay; children: ReactElement }) {
  const link = value.hasLinks ? value.getLinks?.()[0] : undefined;
  return link ? (
    <a href={link.href} title={link.title} {...(link.target ? { target: link.target } : {})}>
      {children}
    </a>
  ) : (
    children
  );
}
