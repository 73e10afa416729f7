// SPDX-License-Identifier: Apache-2.0
// Functions of the shell that the scripts of the steps use. Every script carries all of them, since it runs alone.
import { ARTIFACTS } from './library/artifacts.ts';
import { FETCH } from './library/fetch.ts';
import { PACKAGES } from './library/packages.ts';
import { RECORDS, WALK } from './library/records.ts';
import { SYSTEM } from './library/system.ts';

/** Folder of what is written down of a preparation: `$preparation` in scripts. */
export const STATE = '/var/lib/ts-provider/preparation';

/**
 * For bodies of steps, in POSIX sh for dash, bash and busybox. A `check` runs in a shell of its own and is silent the first time; an
 * `apply` ends with `failed <Reason> <message>` when it cannot go on. Words that it gives:
 * - `say text`, `have program`, `has_systemd`, `$family $os_id $os_version $os_codename $os_name $arch $bindir`, `$step`;
 * - `failed Reason message`, `unwritten message` (says DiskFull when a disk is full), `room folder bytes`;
 * - `write_file path mode` (content in base64 on standard input), `put_file path mode` (content as it is), `is_file path mode sha256`,
 *   `same_file path mode` (content on standard input); the clean-up puts such files back;
 * - `lay path...`, in checks: what must stay as it is. `is_file` and `same_file` do that themselves;
 * - `remember path`, before a file is changed otherwise; `make_folder path`; `put_state path`, for files below `$preparation`;
 * - `fetch url target`, `download url sha256 target [mode [bytes]]`, `hide text` (a URL without its password);
 * - `install_packages name[=version]...`, `package_version name`, `has_package name version`, `hold name...`;
 * - `note_installed package|file|folder name`, before software is put there; `software_folder path`.
 */
export const LIBRARY = [SYSTEM, RECORDS, FETCH, PACKAGES, ARTIFACTS, WALK].join('');
