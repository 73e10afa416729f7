// SPDX-License-Identifier: Apache-2.0
// What our code does at AWS, as IAM has to allow it. A test compares it with the commands in the code beside it.

/** Parts of the backend that a site may leave out. */
export const FEATURES = ['machines', 'network', 'load-balancer', 'pools', 'user-data'] as const;

export type Feature = (typeof FEATURES)[number];

/** Actions that are allowed under the same condition. */
export interface Grant {
  readonly features: readonly Feature[];
  readonly actions: readonly string[];
  /** ARNs, in every partition; absent: AWS knows no resources for these actions, or has to be asked for all. */
  readonly resources?: readonly string[];
  /**
   * `made`: only what gets the tag of a cluster in the same call; `ours`: only what has it; `tagging`: only in a call that makes something.
   */
  readonly only?: 'made' | 'ours' | 'tagging';
  /** AWS asks for these on behalf of other actions; no command of ours is called so. */
  readonly isImplied?: true;
}

const ec2 = (...types: readonly string[]) => types.map((type) => `arn:*:ec2:*:*:${type}/*`);
const elb = (...paths: readonly string[]) => paths.map((path) => `arn:*:elasticloadbalancing:*:*:${path}/*`);

/** What RunInstances makes, and what it uses. */
const MADE_WITH_INSTANCES = ec2('instance', 'volume', 'network-interface', 'spot-instances-request');
const USED_BY_INSTANCES = [
  'arn:*:ec2:*::image/*',
  'arn:*:ec2:*::snapshot/*',
  ...ec2('subnet', 'security-group', 'network-interface', 'key-pair', 'placement-group', 'dedicated-host'),
  ...ec2('capacity-reservation', 'launch-template'),
];
const SECRETS = ['arn:*:secretsmanager:*:*:secret:ts-provider/*'];
const PARAMETERS = ['arn:*:ssm:*:*:parameter/ts-provider/*'];
/** By name: whoever may set tags of any group could make any group ours. */
const GROUPS = ['arn:*:autoscaling:*:*:autoScalingGroup:*:autoScalingGroupName/ts-provider-*'];

/** Every grant but those that a site has to fill in: roles of instances, parameters that name images, keys of volumes, queues of interruptions. */
export const GRANTS: readonly Grant[] = [
  // Who we are, and where the machines of a cluster can be: every part has to know.
  {
    features: FEATURES,
    actions: ['ec2:DescribeRegions', 'sts:GetCallerIdentity'],
  },
  {
    features: ['machines', 'network', 'load-balancer', 'pools'],
    actions: [
      ...['ec2:DescribeAvailabilityZones', 'ec2:DescribeRouteTables', 'ec2:DescribeSecurityGroups'],
      ...['ec2:DescribeSubnets', 'ec2:DescribeVpcs'],
    ],
  },

  // Machines.
  {
    features: ['machines', 'pools'],
    actions: ['ec2:DescribeImages', 'ec2:DescribeInstanceTypes', 'ec2:DescribeInstances'],
  },
  {
    features: ['machines'],
    actions: ['ec2:DescribeInstanceStatus', 'ec2:DescribeSpotInstanceRequests'],
  },
  {
    features: ['machines', 'pools'],
    actions: ['ec2:RunInstances'],
    resources: MADE_WITH_INSTANCES,
    only: 'made',
  },
  { features: ['machines', 'pools'], actions: ['ec2:RunInstances'], resources: USED_BY_INSTANCES },
  {
    features: ['machines', 'pools'],
    actions: ['ec2:TerminateInstances'],
    resources: ec2('instance'),
    only: 'ours',
  },
  {
    features: ['machines'],
    actions: ['ec2:ModifyInstanceMetadataOptions', 'ec2:ModifyNetworkInterfaceAttribute'],
    resources: ec2('instance', 'network-interface'),
    only: 'ours',
  },
  {
    features: ['machines'],
    actions: ['ec2:ModifyNetworkInterfaceAttribute'],
    resources: ec2('security-group'),
  },

  // What EC2 makes is tagged by the call that makes it, and only we change tags of what is ours.
  {
    features: ['machines', 'network', 'pools'],
    actions: ['ec2:CreateTags'],
    resources: ['arn:*:ec2:*:*:*/*'],
    only: 'tagging',
    isImplied: true,
  },
  {
    features: ['machines', 'network'],
    actions: ['ec2:CreateTags'],
    resources: ['arn:*:ec2:*:*:*/*'],
    only: 'ours',
  },

  // The network.
  {
    features: ['network'],
    actions: [
      ...['ec2:DescribeAddresses', 'ec2:DescribeInternetGateways', 'ec2:DescribeNatGateways'],
      ...['ec2:DescribeNetworkInterfaces', 'ec2:DescribeVpcAttribute'],
      'elasticloadbalancing:DescribeLoadBalancers',
    ],
  },
  {
    features: ['network'],
    actions: [
      ...['ec2:AllocateAddress', 'ec2:CreateInternetGateway', 'ec2:CreateNatGateway', 'ec2:CreateRouteTable'],
      ...['ec2:CreateSecurityGroup', 'ec2:CreateSubnet', 'ec2:CreateVpc'],
    ],
    resources: [
      ...ec2(
        'elastic-ip',
        'internet-gateway',
        'natgateway',
        'route-table',
        'security-group',
        'subnet',
        'vpc',
      ),
    ],
    only: 'made',
  },
  // In a VPC that may be somebody else's.
  { features: ['network'], actions: ['ec2:CreateSecurityGroup'], resources: ec2('vpc') },
  {
    features: ['network'],
    actions: [
      ...['ec2:AssociateRouteTable', 'ec2:AttachInternetGateway', 'ec2:AuthorizeSecurityGroupEgress'],
      ...[
        'ec2:AuthorizeSecurityGroupIngress',
        'ec2:CreateNatGateway',
        'ec2:CreateRoute',
        'ec2:CreateRouteTable',
      ],
      ...['ec2:CreateSubnet', 'ec2:DeleteInternetGateway', 'ec2:DeleteNatGateway', 'ec2:DeleteRoute'],
      ...['ec2:DeleteRouteTable', 'ec2:DeleteSecurityGroup', 'ec2:DeleteSubnet', 'ec2:DeleteVpc'],
      ...['ec2:DetachInternetGateway', 'ec2:DisassociateRouteTable', 'ec2:ModifyVpcAttribute'],
      ...['ec2:ReleaseAddress', 'ec2:ReplaceRoute', 'ec2:RevokeSecurityGroupIngress'],
    ],
    resources: ['arn:*:ec2:*:*:*/*'],
    only: 'ours',
  },

  // The load balancer.
  {
    features: ['load-balancer'],
    actions: [
      ...['elasticloadbalancing:DescribeListeners', 'elasticloadbalancing:DescribeLoadBalancerAttributes'],
      ...['elasticloadbalancing:DescribeLoadBalancers', 'elasticloadbalancing:DescribeTags'],
      ...['elasticloadbalancing:DescribeTargetGroupAttributes', 'elasticloadbalancing:DescribeTargetGroups'],
      'elasticloadbalancing:DescribeTargetHealth',
    ],
  },
  // Whether a machine is a target, and whether a cluster that ends has a load balancer, is asked in any case.
  {
    features: ['machines', 'network'],
    actions: ['elasticloadbalancing:DescribeTags', 'elasticloadbalancing:DescribeTargetGroups'],
  },
  {
    features: ['load-balancer'],
    actions: [
      ...['elasticloadbalancing:CreateListener', 'elasticloadbalancing:CreateLoadBalancer'],
      'elasticloadbalancing:CreateTargetGroup',
    ],
    resources: elb('loadbalancer/net', 'targetgroup'),
    only: 'made',
  },
  {
    features: ['load-balancer'],
    actions: ['elasticloadbalancing:AddTags'],
    resources: elb('loadbalancer/net', 'targetgroup', 'listener/net'),
    only: 'tagging',
    isImplied: true,
  },
  {
    features: ['load-balancer'],
    actions: [
      ...['elasticloadbalancing:AddTags', 'elasticloadbalancing:DeleteListener'],
      ...['elasticloadbalancing:DeleteLoadBalancer', 'elasticloadbalancing:DeleteTargetGroup'],
      ...['elasticloadbalancing:DeregisterTargets', 'elasticloadbalancing:ModifyListener'],
      ...['elasticloadbalancing:ModifyLoadBalancerAttributes', 'elasticloadbalancing:ModifyTargetGroup'],
      ...['elasticloadbalancing:ModifyTargetGroupAttributes', 'elasticloadbalancing:RegisterTargets'],
      ...['elasticloadbalancing:SetSecurityGroups', 'elasticloadbalancing:SetSubnets'],
    ],
    resources: elb('loadbalancer/net', 'targetgroup', 'listener/net'),
    only: 'ours',
  },

  // Pools.
  {
    features: ['pools'],
    actions: [
      ...['autoscaling:DescribeAutoScalingGroups', 'autoscaling:DescribeScalingActivities'],
      ...['ec2:DescribeLaunchTemplateVersions', 'ec2:DescribeLaunchTemplates'],
    ],
  },
  {
    features: ['pools'],
    actions: ['ec2:CreateLaunchTemplate'],
    resources: ec2('launch-template'),
    only: 'made',
  },
  {
    features: ['pools'],
    actions: [
      ...['ec2:CreateLaunchTemplateVersion', 'ec2:DeleteLaunchTemplate', 'ec2:DeleteLaunchTemplateVersions'],
      'ec2:ModifyLaunchTemplate',
    ],
    resources: ec2('launch-template'),
    only: 'ours',
  },
  {
    features: ['pools'],
    actions: ['autoscaling:CreateAutoScalingGroup', 'autoscaling:CreateOrUpdateTags'],
    resources: GROUPS,
    only: 'made',
  },
  {
    features: ['pools'],
    actions: [
      ...['autoscaling:CreateOrUpdateTags', 'autoscaling:DeleteAutoScalingGroup'],
      ...['autoscaling:SetInstanceProtection', 'autoscaling:SuspendProcesses'],
      ...['autoscaling:TerminateInstanceInAutoScalingGroup', 'autoscaling:UpdateAutoScalingGroup'],
    ],
    resources: GROUPS,
    only: 'ours',
  },

  // Bootstrap data that wait for their instance.
  { features: ['user-data'], actions: ['secretsmanager:ListSecrets', 'ssm:DescribeParameters'] },
  { features: ['user-data'], actions: ['secretsmanager:CreateSecret'], resources: SECRETS, only: 'made' },
  { features: ['user-data'], actions: ['ssm:PutParameter'], resources: PARAMETERS, only: 'made' },
  {
    features: ['user-data'],
    actions: ['secretsmanager:TagResource', 'ssm:AddTagsToResource'],
    resources: [...SECRETS, ...PARAMETERS],
    only: 'made',
    isImplied: true,
  },
  {
    features: ['user-data'],
    actions: ['secretsmanager:DeleteSecret', 'ssm:DeleteParameters'],
    resources: [...SECRETS, ...PARAMETERS],
    only: 'ours',
  },
];

/** What an instance needs to fetch its bootstrap data and to delete them. */
export const INSTANCE_GRANTS: readonly Grant[] = [
  {
    features: ['user-data'],
    actions: ['secretsmanager:DeleteSecret', 'secretsmanager:GetSecretValue'],
    resources: SECRETS,
  },
  {
    features: ['user-data'],
    actions: ['ssm:DeleteParameter', 'ssm:GetParameter'],
    resources: PARAMETERS,
  },
];

/** Actions whose calls may carry tags for what they make, for `tagging`: condition key and values. */
export const TAGGED_BY: Readonly<Record<string, readonly string[]>> = {
  'ec2:CreateAction': [
    ...['AllocateAddress', 'CreateInternetGateway', 'CreateLaunchTemplate', 'CreateNatGateway'],
    ...['CreateRouteTable', 'CreateSecurityGroup', 'CreateSubnet', 'CreateVpc', 'RunInstances'],
  ],
  'elasticloadbalancing:CreateAction': ['CreateListener', 'CreateLoadBalancer', 'CreateTargetGroup'],
};

/** Services that make a role for themselves in an account that has never used them. */
export const SERVICE_LINKED: Readonly<Partial<Record<Feature, string>>> = {
  machines: 'spot.amazonaws.com',
  'load-balancer': 'elasticloadbalancing.amazonaws.com',
  pools: 'autoscaling.amazonaws.com',
};
