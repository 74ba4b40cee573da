/* The inner loop of Maglev hashing, as `fill` in yaoki/pool/maglev.py, which says what it does.
 *
 * `positions` are where the members' walks begin and is written over; `credits` are all zero; `slots` has room for
 * `size`. Every number is below 2^31, and `skips` are below `size`. No header and no library are needed. */

#define NOBODY 0xffffffffu

void maglev_fill(unsigned members, unsigned size, unsigned *positions, const unsigned *skips, const unsigned *quota,
		 unsigned long long *credits, unsigned *slots)
{
	unsigned largest = 0, left = size;

	for (unsigned slot = 0; slot < size; slot++)
		slots[slot] = NOBODY;
	for (unsigned member = 0; member < members; member++)
		if (quota[member] > largest)
			largest = quota[member];
	while (largest && left) {
		for (unsigned member = 0; member < members && left; member++) {
			unsigned position = positions[member];

			credits[member] += quota[member];
			if (credits[member] < largest)
				continue;
			credits[member] -= largest;
			while (slots[position] != NOBODY) {
				position += skips[member];
				if (position >= size)
					position -= size;
			}
			slots[position] = member;
			position += skips[member];
			positions[member] = position >= size ? position - size : position;
			left--;
		}
	}
}
