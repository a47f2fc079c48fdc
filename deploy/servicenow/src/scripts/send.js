(function (current) {
    new x_example_iem.IemTickets().sendTicket(current.getUniqueValue());
})(current);
