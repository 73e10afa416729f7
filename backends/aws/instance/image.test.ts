// SPDX-License-Identifier: Apache-2.0
import type { Image } from '@aws-sdk/client-ec2';
import { describe, expect, it } from 'vitest';
import type { AWSImage } from '../../../api/aws/machine.ts';
import { FakeClock } from '../../../runtime/fake-clock.ts';
import { AWSRefusal } from '../session/session.ts';
import { createImages } from './image.ts';
import { contextOf, sessionOf } from './instance.fixtures.ts';

const imageNamed = (Name: string, CreationDate: string, rest: Partial<Image> = {}): Image => ({
  ...{ ImageId: `ami-${Name}`, Name, CreationDate, Architecture: 'x86_64' },
  ...{ RootDeviceType: 'ebs', RootDeviceName: '/dev/sda1' },
  BlockDeviceMappings: [{ DeviceName: '/dev/sda1', Ebs: { VolumeSize: 8 } }],
  ...rest,
});

async function resolve(image: AWSImage, answers: Readonly<Record<string, unknown>>, version?: string) {
  const clock = new FakeClock();
  const calls: object[] = [];
  const session = sessionOf((action, input) => {
    calls.push(input);
    const answer = answers[action];
    if (answer instanceof Error) throw answer;
    return answer;
  });
  const images = createImages(clock);
  const use = { version, architectures: ['x86_64'] };
  const ask = () => images.resolve(contextOf(clock), session, image, use);
  return { clock, calls, ask, image: await ask().catch((error: unknown) => error) };
}

const lookup = { owner: 'self', name: 'ubuntu-{kubernetesVersion}-*' };

describe('images', () => {
  it('finds the one that matches, for the version and the architecture, and keeps it', async () => {
    const found = await resolve(
      { lookup },
      { DescribeImages: { Images: [imageNamed('a', '1')] } },
      'v1.34.1',
    );
    expect(found.image).toEqual({
      id: 'ami-a',
      name: 'a',
      architecture: 'x86_64',
      rootDevice: '/dev/sda1',
      rootSizeGiB: '8',
      keptDevices: [],
    });
    expect(found.calls).toMatchObject([
      { Owners: ['self'], Filters: [{ Values: ['ubuntu-1.34.1-*'] }, {}, { Values: ['x86_64'] }] },
    ]);
    await found.ask();
    expect(found.calls).toHaveLength(1);
    await found.clock.advance(300_000);
    await found.ask();
    expect(found.calls).toHaveLength(2);
  });

  it('knows which of its further volumes would stay', async () => {
    const BlockDeviceMappings = [
      { DeviceName: '/dev/sda1', Ebs: { VolumeSize: 8, DeleteOnTermination: false } },
      { DeviceName: '/dev/sdg', Ebs: { VolumeSize: 8, DeleteOnTermination: false } },
      { DeviceName: '/dev/sdf', Ebs: { VolumeSize: 8 } },
      { DeviceName: '/dev/sdh', Ebs: { VolumeSize: 8, DeleteOnTermination: true } },
      { DeviceName: '/dev/sdi', VirtualName: 'ephemeral0' },
    ];
    const images = (rest: Partial<Image>) => ({
      DescribeImages: { Images: [imageNamed('a', '1', { BlockDeviceMappings, ...rest })] },
    });
    const kept = ['/dev/sdf', '/dev/sdg'];
    expect((await resolve({ id: 'ami-a' }, images({}))).image).toMatchObject({ keptDevices: kept });
    const noRoot = images({ RootDeviceType: 'instance-store' });
    const image = { rootDevice: '', keptDevices: ['/dev/sda1', ...kept] };
    expect((await resolve({ id: 'ami-a' }, noRoot)).image).toMatchObject(image);
  });

  it('says what it looked for and did not find', async () => {
    const { image } = await resolve({ lookup }, { DescribeImages: { Images: [] } }, 'v1.34.1');
    expect(image).toMatchObject({
      reason: 'ImageNotFound',
      message: expect.stringContaining('ubuntu-1.34.1-* of owner self') as string,
    });
  });

  it('names three of many, and takes the newest when it is told to', async () => {
    const Images = ['1', '4', '3', '2'].map((date) => imageNamed(`image-${date}`, date));
    const many = await resolve({ lookup }, { DescribeImages: { Images } }, 'v1.34.1');
    const message = expect.stringMatching(/4 AMIs.*image-4 .*image-3 .*image-2 .*others/) as string;
    expect(many.image).toMatchObject({ reason: 'ImageAmbiguous', message });
    const newest = await resolve(
      { lookup: { ...lookup, mostRecent: true } },
      { DescribeImages: { Images } },
      'v1.34.1',
    );
    expect(newest.image).toMatchObject({ id: 'ami-image-4' });
  });

  it('needs a version where the name asks for one', async () => {
    expect((await resolve({ lookup }, {})).image).toMatchObject({ reason: 'InvalidMachine' });
  });

  it('reads the parameter, and then what it names', async () => {
    const answers = {
      GetParameter: { Parameter: { Value: 'ami-0a' } },
      DescribeImages: { Images: [imageNamed('0a', '1')] },
    };
    const found = await resolve({ ssmParameter: '/images/{kubernetesVersion}' }, answers, 'v1.34.1');
    expect(found.calls).toMatchObject([{ Name: '/images/1.34.1' }, { ImageIds: ['ami-0a'] }]);
    const odd = await resolve(
      { ssmParameter: '/images' },
      { GetParameter: { Parameter: { Value: 'latest' } } },
    );
    expect(odd.image).toMatchObject({ reason: 'ImageNotFound' });
  });

  it('refuses an image of another architecture, and one that is not there', async () => {
    const arm = { DescribeImages: { Images: [imageNamed('a', '1', { Architecture: 'arm64' })] } };
    expect((await resolve({ id: 'ami-a' }, arm)).image).toMatchObject({ reason: 'InvalidMachine' });
    const refusal = {
      reason: 'CloudRequestRefused',
      action: 'DescribeImages',
      code: 'InvalidAMIID.NotFound',
      message: 'no',
    };
    const gone = await resolve({ id: 'ami-a' }, { DescribeImages: new AWSRefusal(refusal) });
    expect(gone.image).toMatchObject({
      reason: 'ImageNotFound',
      message: expect.stringContaining('ami-a') as string,
    });
  });
});
