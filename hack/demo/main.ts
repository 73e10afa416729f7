// SPDX-License-Identifier: Apache-2.0
// `make demo`: a management cluster and its first cluster on this machine. `--check`: the same, changed and deleted, then it ends.
import { parseArgs } from 'node:util';
import { errorMessage } from '../../runtime/errors.ts';
import { stack as findStack } from '../stack/build.ts';
import { isAlive } from '../stack/lock.ts';
import { runProgram, type Server } from '../stack/process.ts';
import { temporaryDirectory } from '../stack/temporary-directory.ts';
import { type Demo, startDemo, writeKubeconfig } from './cluster.ts';
import { diagnose } from './diagnosis.ts';
import { hints } from './hints.ts';
import { createScreen, type Screen } from './screen.ts';
import { readSnapshot } from './snapshot.ts';
import { checkStages, FIRST_CLUSTER, runStage } from './stages.ts';

const HELP = `make demo [ARGS=--check]

  --check            scale up, roll to another version, scale down, delete; then end with 0 and nothing left running
  --bootstrap NAME   who serves KubeadmConfig: ts-provider (default), or kubeadm, the stock provider
  --help             this text
`;

interface Run {
  readonly check: boolean;
  readonly screen: Screen;
  readonly signal: AbortSignal;
}

/** Ends with the exit code. */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      check: { type: 'boolean', default: false },
      bootstrap: { type: 'string', default: 'ts-provider' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) {
    process.stdout.write(HELP);
    return 0;
  }
  const { bootstrap } = values;
  if (bootstrap !== 'ts-provider' && bootstrap !== 'kubeadm')
    throw new Error(`--bootstrap is "${bootstrap}"; use ts-provider or kubeadm`);
  const screen = createScreen();
  const run: Run = { check: values.check, screen, signal: interrupted(screen) };
  const stack = await findStack((line) => screen.say(line));
  const directory = temporaryDirectory('demo');
  const owned: (() => Promise<void>)[] = [];
  const say = (line: string) => {
    run.signal.throwIfAborted(); // After each step of the start: what has been started is stopped again.
    screen.say(line);
  };
  const starting = startDemo({ stack, dir: directory.path, bootstrap, say, owned });
  let demo: Demo | undefined;
  try {
    demo = await Promise.race([starting, aborted(run.signal)]);
    await play(demo, run);
    return 0;
  } catch (error) {
    if (run.signal.aborted) return run.check ? 130 : 0;
    await explain(error, demo, screen);
    return 1;
  } finally {
    screen.settle();
    // A step that is half done cannot be stopped: it is given the seconds that it needs.
    demo ??= await starting.catch(() => undefined);
    await tearDown(owned, demo, screen);
    directory.remove();
    screen.say('nothing is left running');
  }
}

async function play(demo: Demo, { check, screen, signal }: Run): Promise<void> {
  await runStage(demo, FIRST_CLUSTER, { screen, signal });
  const kubeconfig = await writeKubeconfig(demo);
  const kubectl = [`--kubeconfig=${kubeconfig}`, 'get', 'nodes', '--output=wide'];
  process.stdout.write(`\n${await runProgram(demo.stack.binaries.kubectl, kubectl)}\n`);
  if (check) {
    for (const stage of checkStages(demo.stack.versions.kubernetes))
      await runStage(demo, stage, { screen, signal });
    return;
  }
  const worker = (await readSnapshot(demo.client)).machines.find((one) => !one.controlPlane)?.name ?? '';
  process.stdout.write(hints(demo, { worker, kubeconfig }));
  await aborted(signal).catch(() => undefined);
}

/** npm hands a Ctrl-C on that the terminal has given us already: what comes within this time is the same one. */
const SAME_KEYSTROKE_MS = 1_000;

/** Aborts with the first Ctrl-C; the second ends at once, and then the watchdogs of the servers end them. */
function interrupted(screen: Screen): AbortSignal {
  const controller = new AbortController();
  let first = 0;
  const onSignal = () => {
    if (first !== 0 && Date.now() - first > SAME_KEYSTROKE_MS) process.exit(130);
    if (first !== 0) return;
    first = Date.now();
    screen.settle();
    screen.say('stopping; press Ctrl-C again to stop without waiting');
    controller.abort(new Error('stopped by the user'));
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal);
  // A promise that waits for a signal does not keep Node alive.
  const alive = setInterval(() => undefined, 60_000);
  controller.signal.addEventListener('abort', () => clearInterval(alive));
  return controller.signal;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}

async function explain(error: unknown, demo: Demo | undefined, screen: Screen): Promise<void> {
  screen.settle();
  screen.say(`failed: ${errorMessage(error)}`);
  if (demo === undefined) return;
  for (const line of await diagnose(demo.client, serversOf(demo))) screen.say(line);
}

function serversOf({ management, workload }: Demo): Server[] {
  const { managers, provider, bootstrapProvider, apiServer } = management;
  const ours = [provider.server, ...(bootstrapProvider === undefined ? [] : [bootstrapProvider.server])];
  return [...ours, ...Object.values(managers.servers), apiServer.process(), workload.process()];
}

async function tearDown(
  owned: (() => Promise<void>)[],
  demo: Demo | undefined,
  screen: Screen,
): Promise<void> {
  const servers = demo === undefined ? [] : serversOf(demo);
  for (const end of owned.splice(0).reverse()) {
    await end().catch((error: unknown) => screen.say(`while stopping: ${errorMessage(error)}`));
  }
  const left = servers.filter(({ pid }) => isAlive(pid));
  if (left.length > 0)
    throw new Error(`still running: ${left.map(({ name, pid }) => `${name} (${pid})`).join(', ')}`);
}

try {
  process.exit(await main());
} catch (error) {
  process.stderr.write(`demo: ${errorMessage(error)}\n`);
  process.exit(1);
}
