import { findProgram } from './commands.ts';
import type { SystemUser } from './commands.ts';

/**
 * The command, wrapped so that the kernel sends it `signal` when its parent dies, even by SIGKILL, and run as
 * `user`. The wrapper, setpriv of util-linux, becomes the command, so the pid stays. Where there is none the
 * command stays as it is and an orderly end of the parent has to do; only a change of user is then an error.
 */
export function endingWithParent(
  command: readonly string[],
  signal: NodeJS.Signals,
  user?: SystemUser,
): readonly string[] {
  const setpriv = findProgram('setpriv');
  if (setpriv) return [setpriv, '--pdeathsig', signal.slice('SIG'.length), ...asUser(user), ...command];
  if (user) throw new Error(`${command[0]} cannot run as root, and setpriv (util-linux) is not installed`);
  return command;
}

function asUser(user: SystemUser | undefined): string[] {
  return user ? ['--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--clear-groups'] : [];
}
