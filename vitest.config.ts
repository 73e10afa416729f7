import { defineConfig } from 'vitest/config';

/**
 * Three layers: `unit` needs nothing but Node; `envtest` starts a real kube-apiserver and the Cluster API managers; `hosts` starts
 * real hosts besides, and needs Linux and root.
 */
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
            'test/hosts/**',
            'test/plain/**',
          ],
        },
      },
      {
        test: {
          name: 'envtest',
          include: ['test/envtest/**/*.test.ts', 'test/differential/**/*.test.ts', 'test/e2e/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
          // Most of the time a story waits, so two share a machine; more would starve each other.
          maxWorkers: 2,
        },
      },
      {
        test: {
          name: 'hosts',
          include: ['test/hosts/**/*.test.ts', 'test/plain/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 900_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
