// SPDX-License-Identifier: Apache-2.0
// AWS as tests without a management cluster have it: moto, and the proxy in front of it.
import { type Moto, startMoto } from '../../hack/stack/moto.ts';
import { temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { type Proxy, startProxy } from './proxy/server.ts';

export interface PlayedAWS {
  readonly proxy: Proxy;
  stop(): Promise<void>;
}

/** `name` is that of the directory with moto's log. What was started is stopped again when it rejects. */
export async function startPlayedAWS(name: string): Promise<PlayedAWS> {
  const dir = temporaryDirectory(name);
  let moto: Moto | undefined;
  let proxy: Proxy | undefined;
  const stop = async () => {
    await proxy?.stop();
    await moto?.stop();
    dir.remove();
  };
  try {
    moto = await startMoto({ dir: dir.path });
    proxy = await startProxy({ upstream: moto.url });
    return { proxy, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}
