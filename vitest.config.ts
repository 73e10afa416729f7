import { defineConfig } from 'vitest/config';

/** Two layers: `unit` needs nothing but Node; `envtest` starts a real kube-apiserver and the Cluster API managers. */
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['**/*.test.ts'],
          exclude: [
            '**/node_modules/**',
            'dist/**',
            'test/envtest/**',
            'test/differential/**',
            'test/e2e/**',
          ],
        },
      },
      {
        test: {
          name: 'envtest',
          include: ['test/envtest/**/*.test.ts', 'test/differential/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
