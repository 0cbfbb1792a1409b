/*
 * What tuntapctl uses of macOS's libncurses (5.4), for who builds without
 * Apple's header: own words from its documented interface.
 */
#ifndef TESTS_DARWIN_CURSES_H
#define TESTS_DARWIN_CURSES_H

#include <stdbool.h>
#include <stdio.h>

#define ERR		(-1)
#define TRUE		1
#define FALSE		0
#define A_NORMAL	0
#define A_REVERSE	(1 << 18)
#define A_BOLD		(1 << 21)
#define KEY_DOWN	0402
#define KEY_UP		0403
#define KEY_HOME	0406
#define KEY_NPAGE	0522
#define KEY_PPAGE	0523
#define KEY_END		0550

typedef struct _win_st WINDOW;
typedef struct screen SCREEN;
typedef unsigned attr_t;

extern WINDOW *stdscr;
extern int LINES, COLS;

int attrset(int attrs);
int cbreak(void);
int curs_set(int visibility);
void delscreen(SCREEN *screen);
int endwin(void);
int erase(void);
int getch(void);
int keypad(WINDOW *win, bool on);
int mvaddnstr(int y, int x, const char *text, int n);
SCREEN *newterm(char *type, FILE *out, FILE *in);
int noecho(void);
int refresh(void);
char *tigetstr(char *name);
void timeout(int ms);

#endif
