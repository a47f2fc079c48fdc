new x_example_iem.IemTickets().sendDue();
