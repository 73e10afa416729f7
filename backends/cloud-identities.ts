// SPDX-License-Identifier: Apache-2.0
// Port through which a cloud's backend learns who it is. Answered by controllers/identity from TSClusterIdentities.
import type { AWSRole } from '../api/tsclusteridentity.ts';
import type { Ctx } from '../runtime/context.ts';

/** Credentials to begin with, and the roles that are assumed one after the other from there. Never logged. */
export interface AWSIdentity {
  /** Changes whenever the credentials or the roles do; sessions are kept by it. Holds no secret. */
  readonly key: string;
  readonly source:
    | { readonly kind: 'manager' }
    | {
        readonly kind: 'static';
        readonly accessKeyID: string;
        readonly secretAccessKey: string;
        readonly sessionToken?: string;
      };
  readonly roles: readonly AWSRole[];
}

/** Finds identities. Answers from a cache where that is as good; a Secret is read at most every minute. */
export interface CloudIdentities {
  /**
   * The identity `name` for an object of `namespace`. Throws TerminalError(IdentityMissing | IdentityInvalid | IdentityNotAllowed)
   * that names the identity, the namespace and the way out.
   */
  aws(ctx: Ctx, who: { readonly namespace: string; readonly name: string }): Promise<AWSIdentity>;
}
