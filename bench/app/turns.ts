/**
 * Who comes after whom in a round: a row of a balanced Latin square. In as many rounds as there are ways each is once in every
 * place, and follows each other once (where their number is even). A way finds this process and the
 * database as the one before has left them, which must not always be the same one.
 */
export function turnsOf(ways: number, round: number): number[] {
  return Array.from({ length: ways }, (_, turn) => {
    const step = turn % 2 === 0 ? ways - turn / 2 : (turn + 1) / 2;
    return (round + step) % ways;
  });
}
