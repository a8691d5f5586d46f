#include "cli/terminal.h"

#include <criterion/criterion.h>

Test(terminal, is_never_driven_by_what_others_say)
{
    char text[] = "a\x1b[2J\r\nb\x7f \xc2\x9b \xc2\xa9 \xc3\xa9\t";
    terminal_clean(text);
    cr_assert_str_eq(text, "a?[2J?\nb? ?? \xc2\xa9 \xc3\xa9?");
}

Test(terminal, is_no_file)
{
    FILE *file = fopen("/dev/null", "we");
    cr_assert_not(terminal_has_colour(file));
    fclose(file);
}
