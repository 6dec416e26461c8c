import { type TableCellHeight } from '@grafana/schema';
import { TableNG } from '@grafana/ui/unstable';

import { Message } from './Message';
import { type PanelProps } from './types';

type Options = {
  frameIndex: number;
  showHeader: boolean;
  showTypeIcons: boolean;
  sortBy: Array<{ displayName: string; desc?: boolean }>;
  cellHeight: TableCellHeight;
  enablePagination: boolean;
  footer: { enablePagination?: boolean };
  frozenColumns: { left?: number };
};

export function TablePanel({ frames, fieldConfig, options, width, height, range }: PanelProps<Options>) {
  const frame = frames[options.frameIndex ?? 0] ?? frames[0];
  if (!frame || frame.fields.length === 0) {
    return <Message>No data</Message>;
  }
  return (
    <TableNG
      // Each drawing starts with the order that the dashboard asks for.
      key={`${frame.length} ${width}`}
      data={frame}
      fieldConfig={fieldConfig}
      width={width}
      height={height}
      timeRange={range}
      noHeader={!(options.showHeader ?? true)}
      showTypeIcons={options.showTypeIcons ?? false}
      sortBy={options.sortBy ?? []}
      sortByBehavior="initial"
      enablePagination={options.enablePagination ?? options.footer?.enablePagination ?? false}
      {...(options.cellHeight ? { cellHeight: options.cellHeight } : {})}
      {...(options.frozenColumns?.left ? { frozenColumns: options.frozenColumns.left } : {})}
      {...(fieldConfig.defaults.noValue ? { noValue: fieldConfig.defaults.noValue } : {})}
      resizable
      structureRev={1}
    />
  );
}
