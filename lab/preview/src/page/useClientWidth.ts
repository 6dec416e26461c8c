import { useEffect, useState } from 'react';

const current = (): number => document.documentElement.clientWidth;

/** Pixels that the window has across, without a scroll bar. */
export function useClientWidth(): number {
  const [width, setWidth] = useState(current);
  useEffect(() => {
    const observer = new ResizeObserver(() => setWidth(current()));
    observer.observe(document.documentElement);
    return () => observer.disconnect();
  }, []);
  return width;
}
