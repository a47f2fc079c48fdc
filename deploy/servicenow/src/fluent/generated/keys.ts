import '@servicenow/sdk/global'

declare global {
    namespace Now {
        namespace Internal {
            interface Keys extends KeysRegistry {
                explicit: {
                    '6f1d3a52c0de4b0f9c5a7e2b8d94a1c3': {
                        table: 'sys_auth_profile_basic'
                        id: '6f1d3a52c0de4b0f9c5a7e2b8d94a1c3'
                    }
                    attempts: {
                        table: 'sys_properties'
                        id: 'acde6871964c4b00827a549d0a54b297'
                    }
                    bom_json: {
                        table: 'sys_module'
                        id: 'e94744deda404c0380099825b71cbd8d'
                    }
                    customer: {
                        table: 'sys_properties'
                        id: '0f4893d9e7f848eda912dff2aa3a2bd6'
                    }
                    integration: {
                        table: 'sys_properties'
                        id: '439885051a414a3092e730ef86979993'
                    }
                    message: {
                        table: 'sys_rest_message'
                        id: 'b45eae27b3864f8a85e0f9aa96665cef'
                    }
                    'message-content-type': {
                        table: 'sys_rest_message_fn_headers'
                        id: 'f9ce46231962409495e378aca00ad968'
                    }
                    'message-customer': {
                        table: 'sys_rest_message_fn_parameters'
                        id: 'b347c6673a9d4ddabd0647c41fbdfbb1'
                    }
                    'message-integration': {
                        table: 'sys_rest_message_fn_parameters'
                        id: '1cff71829e984a009fe2752a8100bcf1'
                    }
                    'message-url': {
                        table: 'sys_rest_message_fn_parameters'
                        id: 'babc0cc405374ad881949dc2c2983a19'
                    }
                    package_json: {
                        table: 'sys_module'
                        id: 'd647a58480984faaa71e20fe38946386'
                    }
                    send: {
                        table: 'sys_script'
                        id: 'e19bebdbc9fa4399844dcb8b95ad8ea0'
                    }
                    'send-again': {
                        table: 'sysauto_script'
                        id: '8a511235918c45468e742fce3e552a0f'
                    }
                    src_server_IemTickets_js: {
                        table: 'sys_module'
                        id: '423e5cf8fc3b42df83facaeb5af93f84'
                        deleted: true
                    }
                    src_server_send_js: {
                        table: 'sys_module'
                        id: '9bb25fb1144142c2beb26971aa3bad87'
                        deleted: true
                    }
                    'src_server_send-again_js': {
                        table: 'sys_module'
                        id: '2b51b7bcb3e440f3a49d3cce2108bd00'
                        deleted: true
                    }
                    src_server_store_js: {
                        table: 'sys_module'
                        id: '6306204ea83e433bb3eafdf7b41d0e84'
                        deleted: true
                    }
                    store: {
                        table: 'sys_script'
                        id: 'a9ca77456cae44cca2c61f45caa4f804'
                    }
                    tickets: {
                        table: 'sys_script_include'
                        id: '6aea4609e30d4e3fbaca82526f6e0e13'
                    }
                    url: {
                        table: 'sys_properties'
                        id: 'cad5643e0ece467e8a3fb8303595bd52'
                    }
                }
                composite: [
                    {
                        table: 'sys_documentation'
                        id: '0becb4d12f0547db8dede3f7af1cc8f4'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'last_answer'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '38d5ce68ded347008e25c0c64569a543'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'outcome'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '3fbf39725b354bdfa16079be5af90a00'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'next_attempt'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '431f3dfb90c64be2860f9312b7cb2b3b'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'idempotency_key'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '469161a387f3497eae0ae6b7e47ad8bb'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'happened'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '46acd9ba8bf845259a7752787cbefd8a'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'happened'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '4eb18432f4b04f75928af1478221a31e'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'NULL'
                        }
                    },
                    {
                        table: 'sys_rest_message_fn'
                        id: '4edebcfee2ef4f3dbd339813516cf9f6'
                        key: {
                            rest_message: 'b45eae27b3864f8a85e0f9aa96665cef'
                            function_name: 'push'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '4f5794e57834498a989960ebcd90c22e'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'attempts'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '50753612a7524c05a8062d2e088f390c'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'idempotency_key'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '60130ea0408443d1b4bf2307e4dc324e'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'NULL'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '792396c476354899b1b82321d3e7efeb'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'next_attempt'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '7b6a004b9c68412bae7964e6e27e5a71'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'ticket'
                        }
                    },
                    {
                        table: 'ua_table_licensing_config'
                        id: '81680774eb9b40eeae4729c392b3173e'
                        key: {
                            name: 'x_example_iem_change'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '8431c64a0cde41ba89fcc12fbabf20f7'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'attempts'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '84f4041c7a624f7aac5cc7c6e7cac9d7'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'last_answer'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '8b9eabef2ce646258aeff18eb6ee30d0'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'state'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: '917d87b17a204ecaa961801093a759c0'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'state'
                        }
                    },
                    {
                        table: 'sys_db_object'
                        id: '9cd04fb060a5466c86cbdf1293d6f958'
                        key: {
                            name: 'x_example_iem_change'
                        }
                    },
                    {
                        table: 'sys_documentation'
                        id: '9ffdf473ea344f78a515cb3d2694580e'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'ticket'
                            language: 'en'
                        }
                    },
                    {
                        table: 'sys_index'
                        id: 'ba02e71be7b446a5980106033456ccb6'
                        key: {
                            logical_table_name: 'x_example_iem_change'
                            col_name_string: 'idempotency_key'
                        }
                    },
                    {
                        table: 'sys_index'
                        id: 'e24f208a747a44edbf1c23f03d107219'
                        key: {
                            logical_table_name: 'x_example_iem_change'
                            col_name_string: 'outcome,next_attempt'
                        }
                    },
                    {
                        table: 'sys_dictionary'
                        id: 'ff293e7c6f7f44ff8d52a9e2b114005c'
                        key: {
                            name: 'x_example_iem_change'
                            element: 'outcome'
                        }
                    },
                ]
            }
        }
    }
}
