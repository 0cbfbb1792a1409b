/* Texts of others, as they may go to a terminal or into a log. */
#ifndef TUNTAPD_PLAIN_H
#define TUNTAPD_PLAIN_H

/*
 * Replaces what a terminal would obey, in place: control bytes, line ends too,
 * those beyond ASCII as well (0x9b is ESC [), and what is not UTF-8.
 */
void make_plain(char *text);

#endif
