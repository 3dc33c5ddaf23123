// wants: 2:2 #__include_macros
#__include_macros "/etc/passwd"
