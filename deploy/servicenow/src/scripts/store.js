(function (current) {
    new x_example_iem.IemTickets().store(current);
})(current);
