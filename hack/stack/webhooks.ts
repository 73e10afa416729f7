// SPDX-License-Identifier: Apache-2.0
// Points the webhooks of a provider at a process on loopback: there are no Services without nodes.
import type { Client } from '../../runtime/client.ts';
import { type KubeObject, nameOf, type Kind } from '../../runtime/object.ts';
import {
  type CustomResourceDefinition,
  CustomResourceDefinitionKind,
  MutatingWebhookConfigurationKind,
  ValidatingWebhookConfigurationKind,
  type WebhookClientConfig,
  type WebhookConfiguration,
} from './kinds.ts';

/** Where a provider's webhooks really are. */
export interface WebhookTarget {
  /** Value of the label `cluster.x-k8s.io/provider`. */
  readonly label: string;
  readonly port: number;
  /** PEM of the CA of the serving certificate. */
  readonly caPem: string;
}

/** Rewrites every webhook of the provider that is installed on the API server: admission, and conversion in its CRDs. */
export async function redirectWebhooks(client: Client, target: WebhookTarget): Promise<void> {
  const selector = { labelSelector: `cluster.x-k8s.io/provider=${target.label}` };
  const replace = (kind: Kind, object: KubeObject, change: unknown) =>
    client.patch(kind, nameOf(object), change);
  for (const kind of [MutatingWebhookConfigurationKind, ValidatingWebhookConfigurationKind]) {
    for (const found of await client.list(kind, selector)) {
      await replace(kind, found, { webhooks: redirectedAdmission(found, target) });
    }
  }
  for (const found of await client.list(CustomResourceDefinitionKind, selector)) {
    const clientConfig = redirectedConversion(found, target)?.webhook.clientConfig;
    if (clientConfig === undefined) continue;
    // A merge patch keeps what it does not name, and a webhook has a service or a URL.
    const webhook = { clientConfig: { ...clientConfig, service: null } };
    await replace(CustomResourceDefinitionKind, found, { spec: { conversion: { webhook } } });
  }
}

function redirectedAdmission({ webhooks = [] }: WebhookConfiguration, target: WebhookTarget) {
  return webhooks.map((webhook) => ({ ...webhook, clientConfig: redirected(webhook.clientConfig, target) }));
}

function redirectedConversion({ spec }: CustomResourceDefinition, target: WebhookTarget) {
  const { conversion } = spec;
  if (conversion?.webhook === undefined) return undefined;
  const clientConfig = redirected(conversion.webhook.clientConfig, target);
  return { ...conversion, webhook: { ...conversion.webhook, clientConfig } };
}

function redirected(from: WebhookClientConfig, target: WebhookTarget): WebhookClientConfig {
  const path = from.service?.path ?? new URL(from.url ?? 'https://127.0.0.1/').pathname;
  return {
    url: `https://127.0.0.1:${target.port}${path}`,
    caBundle: Buffer.from(target.caPem).toString('base64'),
  };
}
