#include "plain.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* More bytes than it takes, half of a pair, or beyond the last character. */
static bool is_no_character(uint8_t first, uint8_t second)
{
	return (first == 0xe0 && second < 0xa0) ||
	       (first == 0xed && second >= 0xa0) ||
	       (first == 0xf0 && second < 0x90) ||
	       (first == 0xf4 && second >= 0x90);
}

/* Bytes that the character there has in UTF-8; 0: it has none, or controls. */
static size_t plain_length(const unsigned char *c)
{
	size_t n = *c < 0x80 ? 1 : *c < 0xc2 ? 0 : *c < 0xe0 ? 2 :
		   *c < 0xf0 ? 3 : *c < 0xf5 ? 4 : 0;

	if (*c < ' ' || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0))
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((c[i] & 0xc0) != 0x80)
			return 0;
	return is_no_character(c[0], c[1]) ? 0 : n;
}

void make_plain(char *text)
{
	size_t n;

	for (unsigned char *c = (unsigned char *)text; *c; c += n ? n : 1) {
		n = plain_length(c);
		if (!n)
			*c = '?';
	}
}
