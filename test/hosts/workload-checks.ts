// SPDX-License-Identifier: Apache-2.0
// What a user of a cluster takes for granted: names, Services across Nodes, logs, exec.
import { waitUntil } from '../../hack/stack/process.ts';
import type { Workload } from './cluster.ts';

/** Two pods on two Nodes, kept apart, behind one Service. */
const ECHO = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: echo, namespace: default}
spec:
  replicas: 2
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec:
      terminationGracePeriodSeconds: 1
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - topologyKey: kubernetes.io/hostname
              labelSelector: {matchLabels: {app: echo}}
      containers:
        - name: echo
          image: ts-provider.test/echo:1
          imagePullPolicy: IfNotPresent
---
apiVersion: v1
kind: Service
metadata: {name: echo, namespace: default}
spec:
  selector: {app: echo}
  ports: [{port: 80, targetPort: 8080}]
`;

const SOON = { timeoutMs: 120_000, pollMs: 1_000 };

/** The two pods run, on different Nodes. Returns their names. */
export async function deployEcho(cluster: Workload): Promise<string[]> {
  await cluster.apply(ECHO);
  let pods: string[] = [];
  await waitUntil(
    async () => {
      const text = await cluster.kubectl(
        'get',
        'pods',
        '-l=app=echo',
        '-o=jsonpath={range .items[?(@.status.phase=="Running")]}{.metadata.name} {.spec.nodeName}{"\\n"}{end}',
      );
      const rows = text.split('\n').filter((line) => line !== '');
      pods = rows.map((row) => row.split(' ')[0]!);
      return new Set(rows.map((row) => row.split(' ')[1])).size === 2;
    },
    { what: 'two echo pods on two Nodes', ...SOON },
  );
  return pods;
}

/** From within each pod, by the Service's name: CoreDNS answers, and pods of both Nodes do. Returns who answered, sorted. */
export async function answersThroughService(cluster: Workload, pod: string): Promise<string[]> {
  const seen = new Set<string>();
  await waitUntil(
    async () => {
      const answer = await cluster.kubectl(
        'exec',
        pod,
        '--',
        '/echo',
        'get',
        'http://echo.default.svc.cluster.local/',
      );
      seen.add(answer.trim());
      return seen.size === 2;
    },
    { what: `answers of both pods to ${pod}, not only ${[...seen].join(', ')}`, ...SOON, pollMs: 100 },
  );
  return [...seen].sort();
}
