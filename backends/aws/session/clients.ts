// SPDX-License-Identifier: Apache-2.0
// The only place that makes clients of the SDK.
import { Agent as HTTPAgent } from 'node:http';
import { Agent as HTTPSAgent } from 'node:https';
import { AutoScalingClient } from '@aws-sdk/client-auto-scaling';
import { EC2Client } from '@aws-sdk/client-ec2';
import { ElasticLoadBalancingV2Client } from '@aws-sdk/client-elastic-load-balancing-v2';
import { SecretsManagerClient } from '@aws-sdk/client-secrets-manager';
import { SQSClient } from '@aws-sdk/client-sqs';
import { SSMClient } from '@aws-sdk/client-ssm';
import { STSClient } from '@aws-sdk/client-sts';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import type { AwsCredentialIdentity } from '@smithy/types';

/** How AWS is reached; shared by all clients of a manager. */
export interface Connection {
  readonly handler: NodeHttpHandler;
  readonly endpoint: string | undefined;
  close(): void;
}

/** More at once to one endpoint wait for a socket. The budget of the account holds back long before, unless its limits are very high. */
const MAX_SOCKETS = 100;
const CONNECTION_TIMEOUT_MS = 5_000;
/** RunInstances may take some ten seconds; a reconcile has sixty. */
const REQUEST_TIMEOUT_MS = 40_000;
/** What only asks is answered in a few seconds or not at all. */
const READ_TIMEOUT_MS = 10_000;
const READ = /^(Describe|List|Get|Search|AssumeRole)/;

/** How long the answer to a call may take, in ms. A queue that is asked for messages (ReceiveMessage) holds the request on purpose. */
export function timeoutOf(action: string): number {
  return READ.test(action) ? READ_TIMEOUT_MS : REQUEST_TIMEOUT_MS;
}

/** `endpoint` replaces those of all services and regions. */
export function createConnection(endpoint?: string): Connection {
  const options = { keepAlive: true, maxSockets: MAX_SOCKETS, maxFreeSockets: 16 };
  const httpAgent = new HTTPAgent(options);
  const httpsAgent = new HTTPSAgent(options);
  const handler = new NodeHttpHandler({
    httpAgent,
    httpsAgent,
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    throwOnRequestTimeout: true,
  });
  return {
    handler,
    endpoint,
    close() {
      httpAgent.destroy();
      httpsAgent.destroy();
    },
  };
}

/** Clients of one identity in one region. Each is made when it is first used. */
export interface Clients {
  readonly ec2: () => EC2Client;
  readonly elb: () => ElasticLoadBalancingV2Client;
  readonly autoScaling: () => AutoScalingClient;
  readonly secrets: () => SecretsManagerClient;
  readonly parameters: () => SSMClient;
  readonly queues: () => SQSClient;
  readonly sts: () => STSClient;
}

/** `credentials` is asked for each request, and keeps them itself. */
export function createClients(
  connection: Connection,
  region: string,
  credentials: () => AwsCredentialIdentity,
): Clients {
  const config = {
    region,
    // Marked as one that needs no cache: the SDK would keep credentials that do not say when they end for ever.
    credentials: Object.assign(async () => credentials(), { memoized: true }),
    // Who calls decides what is tried again, and when.
    maxAttempts: 1,
    requestHandler: connection.handler,
    ...(connection.endpoint !== undefined && { endpoint: connection.endpoint }),
  };
  return {
    ec2: once(() => new EC2Client(config)),
    elb: once(() => new ElasticLoadBalancingV2Client(config)),
    autoScaling: once(() => new AutoScalingClient(config)),
    secrets: once(() => new SecretsManagerClient(config)),
    parameters: once(() => new SSMClient(config)),
    // The endpoint is that of the region, or the one that we were given: never one out of an answer.
    queues: once(() => new SQSClient({ ...config, useQueueUrlAsEndpoint: false })),
    sts: once(() => new STSClient(config)),
  };
}

function once<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
