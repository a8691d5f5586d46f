/* scenario_own.h - what scenario.c and its tables share. */
#ifndef OUTRIGGER_SIM_SCENARIO_OWN_H
#define OUTRIGGER_SIM_SCENARIO_OWN_H

#define KIND_SCENARIO "Scenario"

#endif
