import { readdirSync, readFileSync } from 'node:fs';
import type { DatabaseName } from './outbox-database.ts';

/** The programs of a database, as Linux names them; every process of that name counts. */
const PROGRAMS: Readonly<Record<DatabaseName, readonly string[]>> = {
  mariadb: ['mariadbd', 'mysqld'],
  postgres: ['postgres'],
  libsql: [],
};

/** Of `/proc/PID/stat`: clock ticks in a second, on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/**
 * Microseconds of processor time that a database's server on this machine has used; NaN where there is no `/proc`, or
 * where the server runs elsewhere. Other users of the server are counted too.
 */
export function serverCpu(database: DatabaseName): number {
  const uses = processes().flatMap(({ program, ticks }) =>
    PROGRAMS[database].includes(program) ? [ticks] : [],
  );
  if (uses.length === 0) return Number.NaN;
  return (uses.reduce((sum, ticks) => sum + ticks, 0) / TICKS_PER_SECOND) * 1e6;
}

function processes(): { program: string; ticks: number }[] {
  try {
    return readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .flatMap((pid) => statOf(pid));
  } catch {
    return [];
  }
}

/** With the time of children that have ended: PostgreSQL has a process for each connection. */
function statOf(pid: string): { program: string; ticks: number }[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const program = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // utime, stime, cutime, cstime: fields 14 to 17 of proc(5).
    const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return [{ program, ticks }];
  } catch {
    // It has ended meanwhile.
    return [];
  }
}
