import { readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';

import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vitest/config';

const HERE = import.meta.dirname;
const MODULES = join(HERE, 'node_modules');

// Where the page expects its files, in pictures and in the dev stack's Grafana double alike.
const BASE = '/public/preview/';

/** Files that @grafana/ui fetches by path at run time: its icons, and the fonts, which it doesn't bring along. */
function grafanaFiles(): Plugin {
  return {
    name: 'grafana-files',
    generateBundle() {
      const icons = join(MODULES, '@grafana/ui/dist/public/img/icons');
      for (const entry of readdirSync(icons, { recursive: true, encoding: 'utf-8' })) {
        if (entry.endsWith('.svg')) {
          this.emitFile({ type: 'asset', fileName: `build/img/icons/${entry}`, source: readFileSync(join(icons, entry)) });
        }
      }
      this.emitFile({ type: 'asset', fileName: 'build/img/icons/unicons/angle-double-left.svg', source: mirrored(icons) });
      for (const [name, file] of Object.entries(FONTS)) {
        this.emitFile({ type: 'asset', fileName: `fonts/${name}`, source: readFileSync(join(MODULES, '@fontsource', file)) });
      }
    },
  };
}

/** An icon of the time picker that the package lacks: its counterpart, turned round. */
function mirrored(icons: string): string {
  return readFileSync(join(icons, 'unicons/angle-double-right.svg'), 'utf-8').replace('<path ', '<path transform="matrix(-1 0 0 1 24 0)" ');
}

const FONTS: Record<string, string> = {
  'inter/Inter-Regular.woff2': 'inter/files/inter-latin-400-normal.woff2',
  'inter/Inter-Medium.woff2': 'inter/files/inter-latin-500-normal.woff2',
  'RobotoMono-Regular.woff2': 'roboto-mono/files/roboto-mono-latin-400-normal.woff2',
};

export default defineConfig({
  base: BASE,
  plugins: [react(), grafanaFiles()],
  resolve: {
    // Two copies of @grafana/data would be two registries of units, transformations and options.
    dedupe: ['react', 'react-dom', '@grafana/data', '@grafana/ui', '@grafana/schema', '@grafana/i18n'],
    // No panel shows a code editor: 3 MB that stay out.
    alias: [{ find: /^(monaco-editor(\/.*)?|@monaco-editor\/react)$/, replacement: resolve(HERE, 'src/no-editor.ts') }],
  },
  build: { outDir: 'dist/page', chunkSizeWarningLimit: 20_000, sourcemap: false },
  test: { include: ['test/**/*.test.ts'], environment: 'node', server: { deps: { inline: [/@grafana\//] } } },
});
