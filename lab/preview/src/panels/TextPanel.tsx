import { renderTextPanelMarkdown, textUtil } from '@grafana/data';

import { type PanelProps } from './types';

type Options = { mode: 'markdown' | 'html' | 'code'; content: string };

export function TextPanel({ options, values, height }: PanelProps<Options>) {
  const content = values.replace(options.content, {}, 'html');
  return (
    <div
      className="markdown-html"
      style={{ height, overflow: 'auto' }}
      dangerouslySetInnerHTML={{ __html: toHtml(content, options.mode ?? 'markdown') }}
    />
  );
}

/** Safe to show: both ways of @grafana/data clean the markup. */
function toHtml(content: string, mode: Options['mode']): string {
  switch (mode) {
    case 'html':
      return textUtil.sanitizeTextPanelContent(content);
    case 'code':
      return `<pre>${textUtil.escapeHtml(content)}</pre>`;
    default:
      return renderTextPanelMarkdown(content);
  }
}
