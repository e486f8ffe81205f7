import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // These need a package that is installed outside the tree: `npm run test:pi`.
    exclude: ['test/pi/**'],
    reporters: ['default', './.config/report-skipped.ts'],
    environment: 'node',
    pool: 'forks',
    testTimeout: 20_000,
    hookTimeout: 20_000,
    // A test that needs the machine to itself says so in its own file; everything else may run side by side.
    maxWorkers: 2,
    // Hundreds of tests start the real command: most of what such a process does is compiling the same sources.
    env: { NODE_COMPILE_CACHE: fileURLToPath(new URL('./node_modules/.cache/compiled', import.meta.url)) },
    restoreMocks: true,
    unstubEnvs: true,
  },
});
