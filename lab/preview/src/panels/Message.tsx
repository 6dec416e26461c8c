import { type ReactNode } from 'react';

/** A sentence in the middle of a panel. */
export function Message({ children }: { children: ReactNode }) {
  return (
    <div style={{ height: '100%', display: 'grid', placeItems: 'center', textAlign: 'center', padding: 8, opacity: 0.65 }}>
      {children}
    </div>
  );
}
