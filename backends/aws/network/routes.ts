// SPDX-License-Identifier: Apache-2.0
// Internet gateway and route tables of a VPC that we make: how packets leave its subnets.
import { createHash } from 'node:crypto';
import {
  AssociateRouteTableCommand,
  AttachInternetGatewayCommand,
  CreateInternetGatewayCommand,
  CreateRouteCommand,
  CreateRouteTableCommand,
  DeleteRouteCommand,
  ReplaceRouteCommand,
} from '@aws-sdk/client-ec2';
import { isRefused } from '../session/session.ts';
import { together } from './observation.ts';
import { type InternetGateway, type RouteTable, toInternetGateway, toRouteTable, type VPC } from './parts.ts';
import { attempt, make, type Run, type Slot, tagSpecification } from './run.ts';

/** Every address of IPv4. */
const INTERNET = '0.0.0.0/0';

const GATEWAY_SLOT: Slot<'internetGateways'> = { kind: 'internetGateways', role: 'internet-gateway' };

/** The internet gateway, attached; `undefined` while it is not. */
export async function ensureInternetGateway(run: Run, vpc: VPC): Promise<InternetGateway | undefined> {
  const gateway = await make(run, GATEWAY_SLOT, { doubles: true }, async () => {
    const TagSpecifications = tagSpecification(run, GATEWAY_SLOT);
    const command = new CreateInternetGatewayCommand({ TagSpecifications });
    return toInternetGateway((await run.session.ec2(run.ctx, command)).InternetGateway);
  });
  if (gateway === undefined || gateway.vpcIDs.includes(vpc.id)) return gateway;
  const attached = await attempt(run, 'internet gateway', async () => {
    const command = new AttachInternetGatewayCommand({ InternetGatewayId: gateway.id, VpcId: vpc.id });
    await run.session.ec2(run.ctx, command);
    return gateway;
  });
  return attached;
}

/** Where a route table sends what is not for the VPC; `nowhere`: such a route of ours is taken away. */
export type Target =
  { readonly internetGateway: string } | { readonly natGateway: string } | { readonly nowhere: true };

/** A route table of ours with its route and the subnets that use it. */
export interface WantedTable {
  readonly vpc: VPC;
  /** One for each zone, or one for all. */
  readonly slot: Slot<'routeTables'>;
  /** Absent while it is not known. */
  readonly target: Target | undefined;
  readonly subnetIDs: readonly string[];
}

/** Makes and repairs one route table. */
export async function ensureRouteTable(run: Run, wanted: WantedTable): Promise<void> {
  const { vpc, slot, target, subnetIDs } = wanted;
  const table = await make(run, slot, { doubles: false }, async () => {
    const TagSpecifications = tagSpecification(run, slot);
    const ClientToken = tokenOf([run.cluster.infrastructureID, vpc.id, 'routes', slot.role, slot.zone ?? '']);
    const command = new CreateRouteTableCommand({ VpcId: vpc.id, TagSpecifications, ClientToken });
    return toRouteTable((await run.session.ec2(run.ctx, command)).RouteTable);
  });
  if (table === undefined) return;
  await together([
    target === undefined ? undefined : ensureRoute(run, table, target),
    ...subnetIDs.map((subnetID) => ensureAssociation(run, table, subnetID)),
  ]);
}

/** The same for the same words, so that a repeated call makes nothing new. AWS takes 64 characters. */
export function tokenOf(words: readonly string[]): string {
  return createHash('sha256').update(words.join('\n')).digest('hex');
}

async function ensureRoute(run: Run, table: RouteTable, target: Target): Promise<void> {
  const route = table.routes.find(({ destination }) => destination === INTERNET);
  if ('nowhere' in target) {
    if (route?.target.startsWith('nat-') === true) await removeRoute(run, table);
    return;
  }
  const wanted = 'natGateway' in target ? target.natGateway : target.internetGateway;
  if (route?.target === wanted && !route.isBlackhole) return;
  const input = {
    RouteTableId: table.id,
    DestinationCidrBlock: INTERNET,
    ...('natGateway' in target ? { NatGatewayId: wanted } : { GatewayId: wanted }),
  };
  await attempt(run, `route of ${table.id}`, async () => {
    if (route === undefined) {
      try {
        await run.session.ec2(run.ctx, new CreateRouteCommand(input));
        return;
      } catch (error) {
        if (!isRefused(error, 'RouteAlreadyExists')) throw error; // Ours, which is not shown yet; or another one.
      }
    }
    await run.session.ec2(run.ctx, new ReplaceRouteCommand(input));
  });
}

async function removeRoute(run: Run, { id: RouteTableId }: RouteTable): Promise<void> {
  const command = new DeleteRouteCommand({ RouteTableId, DestinationCidrBlock: INTERNET });
  await attempt(run, `route of ${RouteTableId}`, () => run.session.ec2(run.ctx, command));
}

async function ensureAssociation(run: Run, table: RouteTable, subnetID: string): Promise<void> {
  if (table.associations.some((association) => association.subnetID === subnetID)) return;
  await attempt(run, `route table of ${subnetID}`, () =>
    run.session.ec2(run.ctx, new AssociateRouteTableCommand({ RouteTableId: table.id, SubnetId: subnetID })),
  );
}
