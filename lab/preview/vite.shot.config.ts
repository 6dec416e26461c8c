import { defineConfig } from 'vite';

// The program that takes the pictures; it runs in node with what lies in node_modules.
export default defineConfig({
  build: { ssr: 'shot/main.ts', outDir: 'dist/shot', target: 'node20', copyPublicDir: false },
});
