// wants: 2:9 '/etc/passwd' file not found
#import "/etc/passwd"
