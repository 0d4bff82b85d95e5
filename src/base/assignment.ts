/** Which row goes with which column so that the sum of costs is least: exact, of any rectangle. */

/**
 * The column of each row, −1 for rows that are left over where there are more rows than columns. `cost` is `[rows, columns]`, row by row,
 * of finite numbers. Shortest augmenting paths with dual variables (D. F. Crouse, "On implementing 2D rectangular assignment
 * algorithms", 2016), as scipy's `linear_sum_assignment`, and of equally good solutions the same one as that.
 */
export function assign(cost: ArrayLike<number>, rows: number, columns: number): Int32Array {
  if (rows <= columns) return solve((row, column) => cost[row * columns + column], rows, columns);
  const rowOf = solve((column, row) => cost[row * columns + column], columns, rows);
  const columnOf = new Int32Array(rows).fill(-1);
  rowOf.forEach((row, column) => {
    columnOf[row] = column;
  });
  return columnOf;
}

/** For at least as many columns as rows. */
function solve(cost: (row: number, column: number) => number, rows: number, columns: number): Int32Array {
  const [u, v] = [new Float64Array(rows), new Float64Array(columns)];
  const [columnOf, rowOf] = [new Int32Array(rows).fill(-1), new Int32Array(columns).fill(-1)];
  const shortest = new Float64Array(columns);
  const from = new Int32Array(columns);
  const open = new Int32Array(columns);
  for (let start = 0; start < rows; start++) {
    shortest.fill(Number.POSITIVE_INFINITY);
    // From the last column on, and a free one among equals: of several best solutions this decides which is found.
    for (let i = 0; i < columns; i++) open[i] = columns - 1 - i;
    const [seenRows, seenColumns]: [number[], number[]] = [[], []];
    let [row, sink, length, left] = [start, -1, 0, columns];
    while (sink < 0) {
      seenRows.push(row);
      let [lowest, at] = [Number.POSITIVE_INFINITY, -1];
      for (let i = 0; i < left; i++) {
        const column = open[i];
        const through = length + cost(row, column) - u[row] - v[column];
        if (through < shortest[column]) {
          shortest[column] = through;
          from[column] = row;
        }
        const each = shortest[column];
        if (each < lowest || (each === lowest && rowOf[column] < 0)) [lowest, at] = [each, i];
      }
      if (at < 0) throw new RangeError("assign: a cost is not a finite number");
      const column = open[at];
      length = lowest;
      if (rowOf[column] < 0) sink = column;
      else row = rowOf[column];
      seenColumns.push(column);
      open[at] = open[--left];
    }
    u[start] += length;
    for (const seen of seenRows) if (seen !== start) u[seen] += length - shortest[columnOf[seen]];
    for (const seen of seenColumns) v[seen] -= length - shortest[seen];
    for (let column = sink; ; ) {
      const owner = from[column];
      const before = columnOf[owner];
      rowOf[column] = owner;
      columnOf[owner] = column;
      if (owner === start) break;
      column = before;
    }
  }
  return columnOf;
}
